package formula

import (
	"maps"
	"slices"

	"github.com/b24rules/b24rules/engine/datetime"
)

// function is a function of the language that is no loop.
type function struct {
	params   []Type
	required int  // how many of params must be given
	repeat   bool // the last of params may be given any number of times
	usage    string
	result   func(args []Type) Type
	run      func(m *Machine, args []any) (any, error)
}

// The types of parameters.
var (
	anyType    = Type{Maybe: true}
	numberType = Type{Kind: Number}
	intType    = Type{Kind: Int}
	textType   = Type{Kind: String}
	timeType   = Type{Kind: Time}
	boolType   = Type{Kind: Bool}
	listType   = Type{Kind: List}
	recordType = Type{Kind: Record, Open: true}
)

func gives(t Type) func([]Type) Type { return func([]Type) Type { return t } }

func givesFirst(args []Type) Type { return args[0].Present() }

// givesElements gives a list of the same elements, of another size.
func givesElements(args []Type) Type {
	t := args[0].Present()
	t.Domain = nil
	return t
}

func givesElem(args []Type) Type { return args[0].elem().Optional() }

// functions are the functions that are called with values. The loops, whose
// bodies are evaluated for each element, are in loops.
var functions = map[string]function{
	"len":     {params: []Type{anyType}, required: 1, usage: "len(list)", result: gives(sizeType), run: lenOf},
	"isEmpty": {params: []Type{anyType}, required: 1, usage: "isEmpty(value)", result: gives(boolType), run: isEmpty},
	"abs":     {params: []Type{numberType}, required: 1, usage: "abs(number)", result: givesAbs, run: abs},
	"floor":   {params: []Type{numberType}, required: 1, usage: "floor(number)", result: givesWhole, run: floor},
	"ceil":    {params: []Type{numberType}, required: 1, usage: "ceil(number)", result: givesWhole, run: ceil},
	"round":   {params: []Type{numberType, intType}, required: 1, usage: "round(number, places)", result: givesRounded, run: round},
	"int":     {params: []Type{anyType}, required: 1, usage: "int(value)", result: givesWhole, run: toInt},
	"number":  {params: []Type{anyType}, required: 1, usage: "number(value)", result: givesInRange, run: toNumber},
	"string":  {params: []Type{anyType}, required: 1, usage: "string(value)", result: givesText, run: toText},
	"min":     {params: []Type{anyType}, required: 1, repeat: true, usage: "min(list) or min(a, b)", result: givesBest, run: minOf},
	"max":     {params: []Type{anyType}, required: 1, repeat: true, usage: "max(list) or max(a, b)", result: givesBest, run: maxOf},
	"mean":    {params: []Type{ListOf(numberType)}, required: 1, usage: "mean(list)", result: gives(numberType.Optional()), run: mean},
	"median":  {params: []Type{ListOf(numberType)}, required: 1, usage: "median(list)", result: gives(numberType.Optional()), run: median},
	"first":   {params: []Type{listType}, required: 1, usage: "first(list)", result: givesElem, run: first},
	"last":    {params: []Type{listType}, required: 1, usage: "last(list)", result: givesElem, run: last},
	"take":    {params: []Type{listType, intType}, required: 2, usage: "take(list, n)", result: givesElements, run: take},
	"reverse": {params: []Type{listType}, required: 1, usage: "reverse(list)", result: givesFirst, run: reverse},
	"uniq":    {params: []Type{listType}, required: 1, usage: "uniq(list)", result: givesElements, run: uniq},
	"sort":    {params: []Type{listType, textType}, required: 1, usage: `sort(list, "desc")`, result: givesFirst, run: sortList},
	"concat":  {params: []Type{listType}, required: 1, repeat: true, usage: "concat(list, list)", result: givesAll, run: concat},
	"flatten": {params: []Type{listType}, required: 1, usage: "flatten(list of lists)", result: givesFlat, run: flatten},
	"join":    {params: []Type{listType, textType}, required: 1, usage: `join(list, ", ")`, result: gives(textType), run: join},
	"get":     {params: []Type{anyType, anyType}, required: 2, usage: "get(list, index) or get(record, name)", result: givesPart, run: get},
	"keys":    {params: []Type{recordType}, required: 1, usage: "keys(record)", result: gives(ListOf(textType)), run: keys},
	"values":  {params: []Type{recordType}, required: 1, usage: "values(record)", result: givesValues, run: values},
	"toPairs": {params: []Type{recordType}, required: 1, usage: "toPairs(record)", result: gives(ListOf(SizedList(Type{}, 2))), run: toPairs},
	"fromPairs": {
		params: []Type{listType}, required: 1, usage: "fromPairs(list of [name, value])",
		result: gives(OpenRecord(nil)), run: fromPairs,
	},

	"trim":        {params: []Type{textType, textType}, required: 1, usage: "trim(text)", result: givesTrimmed, run: trim},
	"trimPrefix":  {params: []Type{textType, textType}, required: 2, usage: "trimPrefix(text, prefix)", result: givesTextPart, run: trimPrefix},
	"trimSuffix":  {params: []Type{textType, textType}, required: 2, usage: "trimSuffix(text, suffix)", result: givesTextPart, run: trimSuffix},
	"upper":       {params: []Type{textType}, required: 1, usage: "upper(text)", result: gives(upperType), run: upper},
	"lower":       {params: []Type{textType}, required: 1, usage: "lower(text)", result: gives(lowerType), run: lower},
	"hasPrefix":   {params: []Type{textType, textType}, required: 2, usage: "hasPrefix(text, prefix)", result: gives(boolType), run: hasPrefix},
	"hasSuffix":   {params: []Type{textType, textType}, required: 2, usage: "hasSuffix(text, suffix)", result: gives(boolType), run: hasSuffix},
	"indexOf":     {params: []Type{textType, textType}, required: 2, usage: "indexOf(text, part)", result: gives(placeType), run: indexOf},
	"lastIndexOf": {params: []Type{textType, textType}, required: 2, usage: "lastIndexOf(text, part)", result: gives(placeType), run: lastIndexOf},
	"split":       {params: []Type{textType, textType, intType}, required: 2, usage: `split(text, ",")`, result: gives(ListOf(textType)), run: split},
	"replace":     {params: []Type{textType, textType, textType}, required: 3, usage: "replace(text, old, new)", result: gives(textType), run: replace},
	"repeat":      {params: []Type{textType, intType}, required: 2, usage: "repeat(text, n)", result: gives(textType), run: repeat},

	"padStart":     {params: []Type{textType, intType, textType}, required: 3, usage: `padStart(text, 6, "0")`, result: gives(textType), run: padStart},
	"capitalize":   {params: []Type{textType}, required: 1, usage: "capitalize(text)", result: gives(capitalType), run: ofText(capitalize)},
	"extract":      {params: []Type{textType, textType, intType}, required: 2, usage: "extract(text, `INV-(\\d+)`)", result: gives(textType.Optional())},
	"replaceMatch": {params: []Type{textType, textType, textType}, required: 3, usage: "replaceMatch(text, `\\s+`, \" \")", result: gives(textType)},
	"urlEncode":    {params: []Type{textType}, required: 1, usage: "urlEncode(text)", result: gives(textType), run: ofText(urlEncode)},
	"urlDecode":    {params: []Type{textType}, required: 1, usage: "urlDecode(text)", result: gives(textType), run: ofText(urlDecode)},
	"urlQuery":     {params: []Type{textType}, required: 1, usage: "urlQuery(url).utm_source", result: gives(OpenRecord(nil)), run: ofText(urlQuery)},
	"digits":       {params: []Type{textType}, required: 1, usage: "digits(text)", result: gives(digitsType), run: ofText(digits)},
	"phone":        {params: []Type{textType, textType}, required: 1, usage: `phone(text, "BY")`, result: gives(phoneType), run: phone},
	"formatNumber": {params: []Type{numberType, intType, textType}, required: 1, usage: `formatNumber(number, 2, "ru")`, result: gives(textType), run: formatNumber},
	"plural":       {params: []Type{numberType, ListOf(textType), textType}, required: 2, usage: `plural(n, ["день", "дня", "дней"], "ru")`, result: gives(textType), run: pluralOf},
	"tryNumber":    {params: []Type{anyType}, required: 1, usage: "tryNumber(text)", result: gives(numberType.Optional()), run: tryNumber},
	"money":        {params: []Type{numberType, textType}, required: 2, usage: `money(1500.5, "RUB")`, result: gives(MoneyText), run: money},

	"inWords": {params: []Type{numberType, textType, textType}, required: 1, usage: `inWords(number, "RUB", "ru")`, result: gives(spokenType), run: inWords},
	"textOf":  {params: []Type{anyType}, required: 1, usage: "textOf(deal.stageId)", result: gives(textType.Optional())},

	"date":            {params: []Type{textType, textType}, required: 1, usage: `date("2026-01-31", "Europe/Riga")`, result: gives(timeType), run: dateAs(datetime.Unknown)},
	"tryDate":         {params: []Type{anyType}, required: 1, usage: "tryDate(text)", result: gives(timeType.Optional()), run: tryDateAs(datetime.Unknown)},
	"formatDate":      {params: []Type{timeType, textType, textType}, required: 2, usage: `formatDate(time, "d MMMM yyyy, HH:mm", "ru")`, result: gives(textType), run: formatDate},
	"inZone":          {params: []Type{timeType, textType}, required: 2, usage: `inZone(time, "Asia/Yekaterinburg")`, result: gives(timeType), run: inZone},
	"atTime":          {params: []Type{timeType, textType}, required: 2, usage: `atTime(time, "09:00")`, result: gives(timeType), run: atTime},
	"yearOf":          {params: []Type{timeType}, required: 1, usage: "yearOf(time)", result: gives(yearType), run: yearOf},
	"monthOf":         {params: []Type{timeType}, required: 1, usage: "monthOf(time)", result: gives(ranged(1, 12)), run: monthOf},
	"dayOf":           {params: []Type{timeType}, required: 1, usage: "dayOf(time)", result: gives(ranged(1, 31)), run: dayOf},
	"hourOf":          {params: []Type{timeType}, required: 1, usage: "hourOf(time)", result: gives(ranged(0, 23)), run: hourOf},
	"minuteOf":        {params: []Type{timeType}, required: 1, usage: "minuteOf(time)", result: gives(ranged(0, 59)), run: minuteOf},
	"weekdayOf":       {params: []Type{timeType}, required: 1, usage: "weekdayOf(time), 1 is Monday", result: gives(ranged(1, 7)), run: weekdayOf},
	"addDays":         {params: []Type{timeType, intType}, required: 2, usage: "addDays(time, n)", result: gives(timeType), run: addDays},
	"addMonths":       {params: []Type{timeType, intType}, required: 2, usage: "addMonths(time, n)", result: gives(timeType), run: addMonths},
	"addHours":        {params: []Type{timeType, intType}, required: 2, usage: "addHours(time, n)", result: gives(timeType), run: addHours},
	"daysBetween":     {params: []Type{timeType, timeType}, required: 2, usage: "daysBetween(from, to)", result: gives(intType), run: daysBetween},
	"isWorkday":       {params: []Type{timeType}, required: 1, usage: "isWorkday(time)", result: gives(boolType), run: isWorkday},
	"addWorkdays":     {params: []Type{timeType, intType}, required: 2, usage: "addWorkdays(time, n)", result: gives(timeType), run: addWorkdays},
	"workdaysBetween": {params: []Type{timeType, timeType}, required: 2, usage: "workdaysBetween(from, to)", result: gives(intType), run: workdaysBetween},
	"toWorkTime":      {params: []Type{timeType}, required: 1, usage: "toWorkTime(time)", result: gives(timeType), run: toWorkTime},
}

func functionNames() []string {
	return append(slices.Sorted(maps.Keys(functions)), slices.Sorted(maps.Keys(loops))...)
}

func givesNumber(args []Type) Type {
	if args[0].Kind == Int {
		return intType
	}
	return numberType
}

func givesRounded(args []Type) Type {
	if len(args) == 1 {
		return intType
	}
	return givesNumber(args)
}

func givesBest(args []Type) Type {
	if len(args) == 1 {
		return args[0].elem().Present().Optional()
	}
	t := args[0].Present()
	for _, other := range args[1:] {
		t = Unify(t, other.Present())
	}
	return t
}

func givesAll(args []Type) Type {
	elem := Type{Kind: never}
	for _, t := range args {
		if t.Elem == nil {
			return listType
		}
		elem = Unify(elem, *t.Elem)
	}
	return ListOf(elem)
}

func givesFlat(args []Type) Type { return ListOf(args[0].elem().elem()) }

func givesPart(args []Type) Type {
	if args[0].Kind == List {
		return args[0].elem().Optional()
	}
	return Type{}
}

func givesValues(args []Type) Type {
	elem := Type{Kind: never}
	for _, name := range slices.Sorted(maps.Keys(args[0].Fields)) {
		elem = Unify(elem, args[0].Fields[name])
	}
	if args[0].Kind != Record || args[0].Open {
		elem = Type{}
	}
	return ListOf(elem)
}
