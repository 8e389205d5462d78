package app

import (
	"errors"
	"maps"
	"slices"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/formula"
)

// CompileFields compiles the expressions that hold for a source. The error is
// a config.Problems with every one that does not compile and its place in the
// sheet.
func CompileFields(sheet config.Sheet, source string) (formula.Fields, error) {
	fields, problems := formula.Fields{}, config.Problems{}
	for _, document := range sheet.For(source).Fields.Documents() {
		kind := formula.Kind(document.Key)
		for _, name := range slices.Sorted(maps.Keys(document.Fields)) {
			text := document.Fields[name]
			program, err := formula.Compile(kind, formula.Field{Name: name, Text: text.Text, Place: sheet.Place(text.At)})
			if err != nil {
				problems = append(problems, fieldProblem(sheet, "fields."+document.Key+"."+name, text, err))
				continue
			}
			fields[kind] = append(fields[kind], program)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return fields, nil
}

func fieldProblem(sheet config.Sheet, path string, text config.Expression, err error) config.Problem {
	wrong, ok := errors.AsType[*formula.Error](err)
	if !ok {
		return sheet.Problem(text.At, path+": "+err.Error(), "")
	}
	return sheet.Problem(text.Place(wrong.Line, wrong.Column), path+": "+wrong.Message, wrong.Hint)
}

// CheckFields compiles the expressions of every source and reports each
// problem once, in the order of the sheet.
func CheckFields(sheet config.Sheet) error {
	var all config.Problems
	for _, source := range append([]string{""}, slices.Sorted(maps.Keys(sheet.Sources))...) {
		_, err := CompileFields(sheet, source)
		for _, problem := range config.ListProblems(err) {
			if !slices.Contains(all, problem) {
				all = append(all, problem)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all.Sorted()
}
