package app

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/rs/zerolog"
	"github.com/shopspring/decimal"
)

// TestEverySettingIsRead changes each setting of the sheet, one at a time, and
// asks whether anything that is made of the sheet becomes different. A setting
// that is accepted and ignored is a trap for whoever relies on it.
func TestEverySettingIsRead(t *testing.T) {
	leaves := settingLeaves(reflect.TypeFor[config.Settings](), "")
	if len(leaves) < 60 {
		t.Fatalf("only %d settings found", len(leaves))
	}
	base := wrought(t, beside())
	for _, leaf := range leaves {
		s := beside()
		leaf.set(reflect.ValueOf(&s).Elem())
		changed := wrought(t, s) != base
		if !changed {
			t.Errorf("%s is accepted and nothing reads it", leaf.path)
		}
	}
}

// beside is what must be set for others to mean anything.
func beside() config.Settings {
	return config.Settings{
		Accounts: config.Accounts{Fees: "Fees - X"}, Items: config.Items{Create: config.CreateStock},
		Gateways: map[string]config.Gateway{"manual": {}},
	}
}

// wrought is everything that is made of a sheet, as text to compare.
func wrought(t *testing.T, s config.Settings) string {
	t.Helper()
	var out strings.Builder
	sheet := config.Sheet{Settings: s}
	fields, err := CompileFields(sheet, "shop")
	if err != nil {
		t.Fatal(err)
	}
	effective := sheet.For("shop")
	books := fixedBooks(effective, fields)
	dump(&out, reflect.ValueOf(books))
	for _, values := range furtherFields(t, books.Extra) {
		dump(&out, reflect.ValueOf(values))
	}
	dump(&out, reflect.ValueOf(wanted(effective)))
	watched := config.Config{Sheet: sheet, Shopify: config.Shopify{Secrets: []config.Secret{"s"}}}
	dump(&out, reflect.ValueOf(newWatch(watched, nil, nil, nil, zerolog.Nop()).silence))
	for _, sender := range []config.Sender{
		{Name: "shop", Provider: config.ProviderShopify, Secrets: []config.Secret{"s"}},
		{Name: "shop", Provider: config.ProviderStripe, Secrets: []config.Secret{"s"}, APIKey: "k"},
		{Name: "shop", Provider: config.ProviderPayPal, WebhookID: "1"},
	} {
		dump(&out, reflect.ValueOf(desk(effective, sender, fields, nil)))
		src, err := openSource(sender, effective, nil)
		if err != nil {
			t.Fatal(err)
		}
		if sender.Provider != config.ProviderPayPal { // which holds certificates, and nothing of the settings
			dump(&out, reflect.ValueOf(src))
		}
	}
	return out.String()
}

// furtherFields are what the sheet's expressions give. Whoever adds a kind of
// document adds it here.
func furtherFields(t *testing.T, extra mapping.Extra) []map[string]any {
	t.Helper()
	var all []map[string]any
	add := func(values map[string]any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, values)
	}
	if extra.Order == nil {
		return make([]map[string]any, 6)
	}
	add(extra.Customer(commerce.Party{}))
	add(extra.Order(commerce.Order{}))
	add(extra.Line(commerce.Order{}, commerce.Line{}))
	add(extra.Payment(commerce.Payment{}))
	add(extra.Delivery(commerce.Order{}, commerce.Fulfillment{}))
	add(extra.Invoice(commerce.Order{}))
	return all
}

// dump writes a value with everything in it, but for functions.
func dump(out *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Func:
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			out.WriteString("nil;")
			return
		}
		dump(out, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			out.WriteString(v.Type().Field(i).Name + "{")
			dump(out, v.Field(i))
			out.WriteString("}")
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			dump(out, v.Index(i))
		}
	case reflect.Map:
		var entries []string
		for _, key := range v.MapKeys() {
			var entry strings.Builder
			dump(&entry, key)
			dump(&entry, v.MapIndex(key))
			entries = append(entries, entry.String())
		}
		slices.Sort(entries)
		fmt.Fprint(out, entries)
	default:
		fmt.Fprintf(out, "%v;", v)
	}
}

// leaf is one setting and how to give it a value that is not its default.
type leaf struct {
	path string
	set  func(settings reflect.Value)
}

func settingLeaves(t reflect.Type, prefix string) []leaf {
	var leaves []leaf
	for i := range t.NumField() {
		field := t.Field(i)
		path := strings.TrimSuffix(prefix+field.Tag.Get("yaml"), ",inline")
		for _, l := range leavesOf(field.Type, path) {
			leaves = append(leaves, leaf{l.path, func(v reflect.Value) { l.set(v.Field(i)) }})
		}
	}
	return leaves
}

func leavesOf(t reflect.Type, path string) []leaf {
	switch {
	case t == reflect.TypeFor[config.ByCurrency]():
		return []leaf{{path, func(v reflect.Value) { v.Set(reflect.ValueOf(config.ByCurrency{"": "A - B"})) }}}
	case t == reflect.TypeFor[map[string]config.Expression]():
		return []leaf{{path, func(v reflect.Value) {
			v.Set(reflect.ValueOf(map[string]config.Expression{"custom_x": {Text: `"x"`}}))
		}}}
	case t == reflect.TypeFor[*decimal.Decimal]():
		return []leaf{{path, func(v reflect.Value) { v.Set(reflect.ValueOf(new(decimal.RequireFromString("0.33")))) }}}
	case t == reflect.TypeFor[*time.Duration]():
		return []leaf{{path, func(v reflect.Value) { v.Set(reflect.ValueOf(new(77 * time.Second))) }}}
	case t.Kind() == reflect.Struct:
		return settingLeaves(t, path+".")
	case t.Kind() == reflect.Map && t.Elem().Kind() != reflect.String:
		return inside(leavesOf(t.Elem(), path+".NAME"), func(v reflect.Value, set func(reflect.Value)) {
			element := reflect.New(t.Elem()).Elem()
			set(element)
			name := "manual"
			if path == "accounts.clearing" {
				name = "stripe"
			}
			if v.IsNil() {
				v.Set(reflect.MakeMap(t))
			}
			v.SetMapIndex(reflect.ValueOf(name), element)
		})
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return inside(settingLeaves(t.Elem(), path+"[]."), func(v reflect.Value, set func(reflect.Value)) {
			element := reflect.New(t.Elem()).Elem()
			set(element)
			v.Set(reflect.Append(v, element))
		})
	default:
		return []leaf{{path, setOther(path)}}
	}
}

func inside(leaves []leaf, put func(v reflect.Value, set func(reflect.Value))) []leaf {
	for i, l := range leaves {
		leaves[i].set = func(v reflect.Value) { put(v, l.set) }
	}
	return leaves
}

// setOther gives a plain setting at a path a value that is not its default.
func setOther(path string) func(reflect.Value) {
	return func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			v.Set(reflect.ValueOf(new(false))) // every switch of this kind is on
		case reflect.Map:
			v.Set(reflect.ValueOf(map[string]string{"42": "Stores - X"}))
		case reflect.Slice:
			element := reflect.New(v.Type().Elem()).Elem()
			setOther(path)(element)
			v.Set(reflect.Append(v, element))
		default:
			v.SetString(other(path))
		}
	}
}

// reference are the values and the default of each setting, as its
// documentation has them.
var reference = sync.OnceValue(func() map[string][2][]string {
	code := regexp.MustCompile("`([^`]*)`")
	texts := func(cell string) (list []string) {
		for _, m := range code.FindAllStringSubmatch(cell, -1) {
			list = append(list, m[1])
		}
		return list
	}
	rows := map[string][2][]string{}
	for line := range strings.Lines(config.ReferenceTable()) {
		if cells := strings.Split(line, "|"); len(cells) > 4 && len(texts(cells[1])) == 1 {
			rows[texts(cells[1])[0]] = [2][]string{texts(cells[2]), texts(cells[3])}
		}
	}
	return rows
})

// other is a value of a setting that is not its default.
func other(path string) string {
	row := reference()[path]
	for _, value := range row[0] {
		if !slices.Contains(row[1], value) {
			return value
		}
	}
	if len(row[0]) > 0 {
		return row[0][0] // a list of choices: one alone is not the default
	}
	return "Something - X"
}

// TestEveryRefinementOfASourceIsRead asks the same of what the sheet says of a
// source beside its secrets.
func TestEveryRefinementOfASourceIsRead(t *testing.T) {
	for _, tt := range []struct {
		path   string
		change func(*config.Sender)
		of     config.Sender
	}{
		{"sources.NAME.livemode", func(s *config.Sender) { s.Livemode = new(true) }, config.Sender{Provider: config.ProviderStripe, Secrets: []config.Secret{"s"}}},
		{"sources.NAME.account", func(s *config.Sender) { s.Account = "acct_1" }, config.Sender{Provider: config.ProviderStripe, Secrets: []config.Secret{"s"}}},
		{"sources.NAME.merchant", func(s *config.Sender) { s.Merchant = "acme.myshopify.com" }, config.Sender{Provider: config.ProviderShopify, Secrets: []config.Secret{"s"}}},
	} {
		var texts [2]string
		for i := range texts {
			sender := tt.of
			if i == 1 {
				tt.change(&sender)
			}
			src, err := openSource(sender, config.Settings{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			dump(&out, reflect.ValueOf(src))
			texts[i] = out.String()
		}
		if texts[0] == texts[1] {
			t.Errorf("%s is accepted and nothing reads it", tt.path)
		}
	}
}
