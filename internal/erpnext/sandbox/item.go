package sandbox

var itemController = controller{
	newDefaults: func(t *tx, d doc) error {
		if d["stock_uom"] == nil {
			d["stock_uom"] = t.setting("Stock Settings", "stock_uom")
		}
		return nil
	},
	autoname: func(t *tx, d doc) error {
		if str(d, "item_code") == "" {
			return throw("ValidationError", "Item Code is required")
		}
		d["name"] = d["item_code"]
		return nil
	},
	validate: func(t *tx, d doc) error {
		for field, from := range map[string]string{"item_name": "item_code", "description": "item_name"} {
			if str(d, field) == "" {
				d[field] = d[from]
			}
		}
		if str(d, "description") == "" {
			d["description"] = d["item_code"]
		}
		if len(rows(d, "uoms")) == 0 && str(d, "stock_uom") != "" {
			t.appendRow(d, "uoms", doc{"uom": d["stock_uom"], "conversion_factor": 1.0})
		}
		if len(rows(d, "item_defaults")) == 0 {
			t.appendRow(d, "item_defaults", doc{
				"company": t.setting("Global Defaults", "default_company"), "default_warehouse": t.setting("Stock Settings", "default_warehouse")})
		}
		d["customer_code"] = ""
		if d["image"] == nil {
			d["total_projected_qty"] = 0.0
		}
		return nil
	},
}

// sellingPrice is the price of an item in a price list on a day, 0 when there
// is none. Dates before valid_from see no price.
func (t *tx) sellingPrice(item, list, uom, date string) float64 {
	best, since := 0.0, ""
	for _, p := range t.all("Item Price") {
		if fold(str(p, "item_code")) != fold(item) || str(p, "price_list") != list || str(p, "valid_from") > date {
			continue
		}
		if u := str(p, "uom"); u != "" && u != uom {
			continue
		}
		if from := str(p, "valid_from"); from >= since {
			best, since = flt(p["price_list_rate"]), from
		}
	}
	return best
}

// keepPrice writes an Item Price from the first rate seen, when the site does
// that and there is no price at all yet. It is valid from today on.
func (t *tx) keepPrice(order, row doc) {
	list := str(order, "selling_price_list")
	if cint(t.setting("Stock Settings", "auto_insert_price_list_rate_if_missing")) == 0 || list == "" || flt(row["rate"]) == 0 {
		return
	}
	if str(t.peek("Price List", list), "currency") != str(order, "currency") {
		return
	}
	for _, p := range t.all("Item Price") {
		if fold(str(p, "item_code")) == fold(str(row, "item_code")) && str(p, "price_list") == list {
			return
		}
	}
	factor := flt(row["conversion_factor"])
	if factor == 0 {
		factor = 1
	}
	t.put("Item Price", doc{
		"doctype": "Item Price", "name": t.rowName(), "item_code": row["item_code"], "item_name": row["item_name"], "price_list": list,
		"price_list_rate": flt(row["rate"]) / factor, "currency": order["currency"], "uom": row["stock_uom"], "valid_from": t.today(),
		"selling": int64(1), "buying": int64(0), "docstatus": int64(0), "creation": t.now(), "owner": t.user.name,
	})
	t.messages = append(t.messages, message{
		text: "Item Price added for " + str(row, "item_code") + " in Price List " + list, alert: true})
}
