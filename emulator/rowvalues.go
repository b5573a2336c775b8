package emulator

import (
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/value"
	"github.com/b24rules/b24rules/engine/num"
	"github.com/b24rules/b24rules/internal/php"
)

// measures are the units of measurement that the portal knows.
func measures(code int64) (symbol string, ok bool) {
	switch code {
	case 6:
		return "m", true
	case 112:
		return "l", true
	case 163:
		return "g", true
	case 166:
		return "kg", true
	case defaultMeasure:
		return "pcs", true
	}
	return "", false
}

// applyRow puts the given fields into a row and computes the rest.
func applyRow(r *rowValues, g value.Fields) error {
	g.Int("PRODUCT_ID", &r.productID)
	if v, ok := g["PRODUCT_NAME"]; ok {
		r.productName = value.Text(v)
	}
	// A known price keeps up to 8 digits: PRICE 22175.328 stands in the docs.
	g.Num("PRICE", 8, &r.price)
	g.Num("QUANTITY", 4, &r.quantity)
	g.Int("DISCOUNT_TYPE_ID", &r.discountType)
	g.Num("DISCOUNT_RATE", 4, &r.discountRate)
	g.Num("DISCOUNT_SUM", 8, &r.discountSum)
	if v, ok := g["TAX_RATE"]; ok {
		r.taxed = v != nil && v != "" && v != false
		r.taxRate = num.Num{}
		if r.taxed {
			r.taxRate = value.Num(v).Round(4)
		}
	}
	if v, ok := g["TAX_INCLUDED"]; ok {
		r.taxIncluded = value.IsYes(v)
	}
	if v, ok := g["CUSTOMIZED"]; ok {
		r.customized = value.IsYes(v)
	}
	g.Int("MEASURE_CODE", &r.measureCode)
	g.Int("SORT", &r.sort)
	return normalizeRow(r)
}

// normalizeRow computes what follows from the price, as the portal does on each
// save; each step is rounded to 2 digits. The documented examples come out
// exactly: 80000 with tax 20 and discount 20 % is 66666.67, 83333.34, 100000.01.
// https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-add.html
func normalizeRow(r *rowValues) error {
	symbol, known := measures(r.measureCode)
	if !known {
		r.measureCode = defaultMeasure
		symbol, _ = measures(defaultMeasure)
	}
	r.measureName = symbol
	m := &math{}
	factor := m.add(num.FromInt(1), m.div(r.taxRate, num.FromInt(100)))
	r.priceExclusive = r.price
	if r.taxRate.Sign() != 0 {
		r.priceExclusive = m.div(r.price, factor).Round(2)
	}
	if err := normalizeDiscount(r, m); err != nil {
		return err
	}
	r.priceNetto = m.add(r.priceExclusive, r.discountSum)
	r.priceBrutto = r.priceNetto
	if r.taxRate.Sign() != 0 {
		r.priceBrutto = m.mul(r.priceNetto, factor).Round(2)
	}
	if m.err != nil {
		return fail("0", "Invalid value: "+m.err.Error())
	}
	// What a row costs must fit into the column of an amount, decimal(18,2). The
	// portal's own refusal is not documented.
	for _, n := range []num.Num{r.price, r.quantity, r.priceExclusive, r.priceBrutto, r.discountSum} {
		if n.Abs().Cmp(mostAmount) >= 0 {
			return fail("0", "Invalid value: "+n.String()+" is too large")
		}
	}
	return nil
}

// mostAmount is the first number with more than the 16 digits of a column of
// amounts.
var mostAmount = num.MustParse("1e16")

func normalizeDiscount(r *rowValues, m *math) error {
	hundred := num.FromInt(100)
	if r.discountType != discountSum {
		r.discountType = discountPercent
	}
	if r.discountType == discountSum {
		before := m.add(r.priceExclusive, r.discountSum)
		r.discountRate = num.Num{}
		if before.Sign() != 0 {
			r.discountRate = m.div(m.mul(r.discountSum, hundred), before).Round(2)
		}
		return nil
	}
	if r.discountRate.Equal(hundred) {
		if r.discountSum.Sign() == 0 {
			// The sum before a discount of 100 % does not follow from the price.
			return fail("CRM_PRODUCTROW_NORMALIZATION_DISCOUNT_SUM_REQUIRED",
				"Discount Sum (DISCOUNT_SUM) is required if Percentage Discount Type (DISCOUNT_TYPE_ID) is used and Discount Rate (DISCOUNT_RATE) is 100%.")
		}
		return nil
	}
	rest := m.sub(hundred, r.discountRate)
	r.discountSum = m.div(m.mul(r.priceExclusive, r.discountRate), rest).Round(2)
	return nil
}

// math computes until the first error and keeps it.
type math struct{ err error }

func (m *math) keep(n num.Num, err error) num.Num {
	if err != nil && m.err == nil {
		m.err = err
	}
	return n
}

func (m *math) add(a, b num.Num) num.Num { return m.keep(a.Add(b)) }

func (m *math) sub(a, b num.Num) num.Num { return m.keep(a.Sub(b)) }

func (m *math) mul(a, b num.Num) num.Num { return m.keep(a.Mul(b)) }

func (m *math) div(a, b num.Num) num.Num { return m.keep(a.Div(b)) }

// rowTax is taxRate, or null.
func rowTax(r *row) any {
	if !r.taxed {
		return nil
	}
	return value.FromNum(r.taxRate)
}

// rowJSON is a row as crm.item.productrow.* shows it.
func rowJSON(s *store, r *row) *php.Array {
	return value.Object(
		"id", r.id, "ownerId", r.owner.id, "ownerType", s.ownerType(r.owner), "productId", r.productID,
		"productName", r.productName, "price", r.price, "priceAccount", r.price, "priceExclusive", r.priceExclusive,
		"priceNetto", r.priceNetto, "priceBrutto", r.priceBrutto, "quantity", r.quantity,
		"discountTypeId", r.discountType, "discountRate", r.discountRate, "discountSum", r.discountSum,
		"taxRate", rowTax(r), "taxIncluded", value.YesNo(r.taxIncluded), "customized", value.YesNo(r.customized),
		"measureCode", r.measureCode, "measureName", r.measureName, "sort", r.sort, "xmlId", "", "type", r.productType(),
	)
}

// storedRowJSON is a row as get and list show it: with the store, of which there
// are none here.
func storedRowJSON(s *store, r *row) *php.Array {
	a := rowJSON(s, r)
	a.Set("storeId", nil)
	return a
}

// legacyRowJSON is a row as crm.deal.productrows.get and the like show it: ids
// and PRICE_ACCOUNT are text there.
// https://apidocs.bitrix24.com/api-reference/crm/deals/crm-deal-productrows-get.html
func legacyRowJSON(s *store, r *row, e legacyEntity) *php.Array {
	return value.Object(
		"ID", value.Text(value.FromInt(r.id)), "OWNER_ID", value.Text(value.FromInt(r.owner.id)), "OWNER_TYPE", s.ownerType(r.owner),
		"PRODUCT_ID", r.productID, "PRODUCT_NAME", r.productName, "ORIGINAL_PRODUCT_NAME", originalProductName(r),
		"PRODUCT_DESCRIPTION", nil, "PRICE", r.price, "PRICE_EXCLUSIVE", r.priceExclusive, "PRICE_NETTO", r.priceNetto,
		"PRICE_BRUTTO", r.priceBrutto, "PRICE_ACCOUNT", value.Fixed(r.price, e.accountPlaces), "QUANTITY", r.quantity,
		"DISCOUNT_TYPE_ID", r.discountType, "DISCOUNT_RATE", r.discountRate, "DISCOUNT_SUM", r.discountSum,
		"TAX_RATE", rowTax(r), "TAX_INCLUDED", value.YesNo(r.taxIncluded), "CUSTOMIZED", value.YesNo(r.customized),
		"MEASURE_CODE", r.measureCode, "MEASURE_NAME", r.measureName, "SORT", r.sort, "XML_ID", e.xmlID,
		"TYPE", r.productType(), "STORE_ID", nil, "RESERVE_ID", nil, "DATE_RESERVE_END", nil, "RESERVE_QUANTITY", nil,
	)
}

// originalProductName is the product's name in the catalog, null for a free row.
func originalProductName(r *row) any {
	if r.productID > 0 {
		return r.productName
	}
	return nil
}

// rowColumn finds what rows are filtered and ordered by.
func rowColumn(s *store, name string) (query.Column[*row], bool) {
	return query.Among(rowColumns(s))(value.UpperName(name))
}

func rowColumns(s *store) []query.Column[*row] {
	return []query.Column[*row]{
		query.NewColumn("ID", query.Int, func(r *row) any { return r.id }),
		query.NewColumn("OWNER_ID", query.Int, func(r *row) any { return r.owner.id }),
		query.NewColumn("OWNER_TYPE", query.Text, func(r *row) any { return s.ownerType(r.owner) }),
		query.NewColumn("PRODUCT_ID", query.Int, func(r *row) any { return r.productID }),
		query.NewColumn("PRODUCT_NAME", query.Text, func(r *row) any { return r.productName }),
		query.NewColumn("PRICE", query.Num, func(r *row) any { return r.price }),
		query.NewColumn("PRICE_ACCOUNT", query.Num, func(r *row) any { return r.price }),
		query.NewColumn("PRICE_EXCLUSIVE", query.Num, func(r *row) any { return r.priceExclusive }),
		query.NewColumn("PRICE_NETTO", query.Num, func(r *row) any { return r.priceNetto }),
		query.NewColumn("PRICE_BRUTTO", query.Num, func(r *row) any { return r.priceBrutto }),
		query.NewColumn("QUANTITY", query.Num, func(r *row) any { return r.quantity }),
		query.NewColumn("DISCOUNT_TYPE_ID", query.Int, func(r *row) any { return r.discountType }),
		query.NewColumn("DISCOUNT_RATE", query.Num, func(r *row) any { return r.discountRate }),
		query.NewColumn("DISCOUNT_SUM", query.Num, func(r *row) any { return r.discountSum }),
		query.NewColumn("TAX_RATE", query.Num, func(r *row) any {
			if !r.taxed {
				return nil
			}
			return r.taxRate
		}),
		query.NewColumn("TAX_INCLUDED", query.Text, func(r *row) any { return value.YesNo(r.taxIncluded) }),
		query.NewColumn("CUSTOMIZED", query.Text, func(r *row) any { return value.YesNo(r.customized) }),
		query.NewColumn("MEASURE_CODE", query.Int, func(r *row) any { return r.measureCode }),
		query.NewColumn("MEASURE_NAME", query.Text, func(r *row) any { return r.measureName }),
		query.NewColumn("SORT", query.Int, func(r *row) any { return r.sort }),
		query.NewColumn("TYPE", query.Int, func(r *row) any { return r.productType() }),
	}
}
