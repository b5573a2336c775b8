package crm

import (
	"github.com/b24rules/b24rules/emulator/internal/model"
	"github.com/b24rules/b24rules/emulator/internal/query"
	"github.com/b24rules/b24rules/emulator/internal/rest"
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
	case model.DefaultMeasure:
		return "pcs", true
	}
	return "", false
}

// applyRow puts the given fields into a row and computes the rest.
func applyRow(r *model.RowValues, g value.Fields) error {
	g.Int("PRODUCT_ID", &r.ProductID)
	if v, ok := g["PRODUCT_NAME"]; ok {
		r.ProductName = value.Text(v)
	}
	// A known price keeps up to 8 digits: the docs show PRICE 22175.328.
	g.Num("PRICE", 8, &r.Price)
	g.Num("QUANTITY", 4, &r.Quantity)
	g.Int("DISCOUNT_TYPE_ID", &r.DiscountType)
	g.Num("DISCOUNT_RATE", 4, &r.DiscountRate)
	g.Num("DISCOUNT_SUM", 8, &r.DiscountSum)
	if v, ok := g["TAX_RATE"]; ok {
		r.Taxed = v != nil && v != "" && v != false
		r.TaxRate = num.Num{}
		if r.Taxed {
			r.TaxRate = value.Num(v).Round(4)
		}
	}
	if v, ok := g["TAX_INCLUDED"]; ok {
		r.TaxIncluded = value.IsYes(v)
	}
	if v, ok := g["CUSTOMIZED"]; ok {
		r.Customized = value.IsYes(v)
	}
	g.Int("MEASURE_CODE", &r.MeasureCode)
	g.Int("SORT", &r.Sort)
	return normalizeRow(r)
}

// normalizeRow computes what follows from the price, as the portal does on each
// save; each step is rounded to 2 digits. The documented examples come out
// exactly: 80000 with tax 20 and discount 20 % is 66666.67, 83333.34, 100000.01.
// https://apidocs.bitrix24.com/api-reference/crm/universal/product-rows/crm-item-productrow-add.html
func normalizeRow(r *model.RowValues) error {
	symbol, known := measures(r.MeasureCode)
	if !known {
		r.MeasureCode = model.DefaultMeasure
		symbol, _ = measures(model.DefaultMeasure)
	}
	r.MeasureName = symbol
	m := &math{}
	factor := m.add(num.FromInt(1), m.div(r.TaxRate, num.FromInt(100)))
	r.PriceExclusive = r.Price
	if r.TaxRate.Sign() != 0 {
		r.PriceExclusive = m.div(r.Price, factor).Round(2)
	}
	if err := normalizeDiscount(r, m); err != nil {
		return err
	}
	r.PriceNetto = m.add(r.PriceExclusive, r.DiscountSum)
	r.PriceBrutto = r.PriceNetto
	if r.TaxRate.Sign() != 0 {
		r.PriceBrutto = m.mul(r.PriceNetto, factor).Round(2)
	}
	if m.err != nil {
		return rest.Fail("0", "Invalid value: "+m.err.Error())
	}
	// What a row costs must fit into the column of an amount, decimal(18,2). The
	// portal's own refusal is not documented.
	for _, n := range []num.Num{r.Price, r.Quantity, r.PriceExclusive, r.PriceBrutto, r.DiscountSum} {
		if n.Abs().Cmp(mostAmount) >= 0 {
			return rest.Fail("0", "Invalid value: "+n.String()+" is too large")
		}
	}
	return nil
}

// mostAmount is the first number with more than the 16 digits of a column of
// amounts.
var mostAmount = num.MustParse("1e16")

func normalizeDiscount(r *model.RowValues, m *math) error {
	hundred := num.FromInt(100)
	if r.DiscountType != model.DiscountSum {
		r.DiscountType = model.DiscountPercent
	}
	if r.DiscountType == model.DiscountSum {
		before := m.add(r.PriceExclusive, r.DiscountSum)
		r.DiscountRate = num.Num{}
		if before.Sign() != 0 {
			r.DiscountRate = m.div(m.mul(r.DiscountSum, hundred), before).Round(2)
		}
		return nil
	}
	if r.DiscountRate.Equal(hundred) {
		if r.DiscountSum.Sign() == 0 {
			// The sum before a discount of 100 % does not follow from the price.
			return rest.Fail("CRM_PRODUCTROW_NORMALIZATION_DISCOUNT_SUM_REQUIRED",
				"Discount Sum (DISCOUNT_SUM) is required if Percentage Discount Type (DISCOUNT_TYPE_ID) is used and Discount Rate (DISCOUNT_RATE) is 100%.")
		}
		return nil
	}
	others := m.sub(hundred, r.DiscountRate)
	r.DiscountSum = m.div(m.mul(r.PriceExclusive, r.DiscountRate), others).Round(2)
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

// rowTax is TaxRate, or null.
func rowTax(r *model.Row) any {
	if !r.Taxed {
		return nil
	}
	return value.FromNum(r.TaxRate)
}

// rowJSON is a row as crm.item.productrow.* shows it.
func rowJSON(s *model.Store, r *model.Row) *php.Array {
	return value.Object(
		"id", r.ID, "ownerId", r.Owner.ID, "ownerType", s.OwnerType(r.Owner), "productId", r.ProductID,
		"productName", r.ProductName, "price", r.Price, "priceAccount", r.Price, "priceExclusive", r.PriceExclusive,
		"priceNetto", r.PriceNetto, "priceBrutto", r.PriceBrutto, "quantity", r.Quantity,
		"discountTypeId", r.DiscountType, "discountRate", r.DiscountRate, "discountSum", r.DiscountSum,
		"taxRate", rowTax(r), "taxIncluded", value.YesNo(r.TaxIncluded), "customized", value.YesNo(r.Customized),
		"measureCode", r.MeasureCode, "measureName", r.MeasureName, "sort", r.Sort, "xmlId", "", "type", r.ProductType(),
	)
}

// storedRowJSON is a row as get and list show it: with the store, of which there
// are none here.
func storedRowJSON(s *model.Store, r *model.Row) *php.Array {
	a := rowJSON(s, r)
	a.Set("storeId", nil)
	return a
}

// legacyRowJSON is a row as crm.deal.productrows.get and the like show it: ids
// and PRICE_ACCOUNT are text there.
// https://apidocs.bitrix24.com/api-reference/crm/deals/crm-deal-productrows-get.html
func legacyRowJSON(s *model.Store, r *model.Row, e legacyEntity) *php.Array {
	return value.Object(
		"ID", value.Text(value.FromInt(r.ID)), "OWNER_ID", value.Text(value.FromInt(r.Owner.ID)), "OWNER_TYPE", s.OwnerType(r.Owner),
		"PRODUCT_ID", r.ProductID, "PRODUCT_NAME", r.ProductName, "ORIGINAL_PRODUCT_NAME", originalProductName(r),
		"PRODUCT_DESCRIPTION", nil, "PRICE", r.Price, "PRICE_EXCLUSIVE", r.PriceExclusive, "PRICE_NETTO", r.PriceNetto,
		"PRICE_BRUTTO", r.PriceBrutto, "PRICE_ACCOUNT", value.Fixed(r.Price, e.accountPlaces), "QUANTITY", r.Quantity,
		"DISCOUNT_TYPE_ID", r.DiscountType, "DISCOUNT_RATE", r.DiscountRate, "DISCOUNT_SUM", r.DiscountSum,
		"TAX_RATE", rowTax(r), "TAX_INCLUDED", value.YesNo(r.TaxIncluded), "CUSTOMIZED", value.YesNo(r.Customized),
		"MEASURE_CODE", r.MeasureCode, "MEASURE_NAME", r.MeasureName, "SORT", r.Sort, "XML_ID", e.xmlID,
		"TYPE", r.ProductType(), "STORE_ID", nil, "RESERVE_ID", nil, "DATE_RESERVE_END", nil, "RESERVE_QUANTITY", nil,
	)
}

// originalProductName is the product's name in the catalog, null for a free row.
func originalProductName(r *model.Row) any {
	if r.ProductID > 0 {
		return r.ProductName
	}
	return nil
}

// rowColumn finds what rows are filtered and ordered by.
func rowColumn(s *model.Store, name string) (query.Column[*model.Row], bool) {
	return query.Among(rowColumns(s))(value.UpperName(name))
}

func rowColumns(s *model.Store) []query.Column[*model.Row] {
	return []query.Column[*model.Row]{
		query.NewColumn("ID", query.Int, func(r *model.Row) any { return r.ID }),
		query.NewColumn("OWNER_ID", query.Int, func(r *model.Row) any { return r.Owner.ID }),
		query.NewColumn("OWNER_TYPE", query.Text, func(r *model.Row) any { return s.OwnerType(r.Owner) }),
		query.NewColumn("PRODUCT_ID", query.Int, func(r *model.Row) any { return r.ProductID }),
		query.NewColumn("PRODUCT_NAME", query.Text, func(r *model.Row) any { return r.ProductName }),
		query.NewColumn("PRICE", query.Num, func(r *model.Row) any { return r.Price }),
		query.NewColumn("PRICE_ACCOUNT", query.Num, func(r *model.Row) any { return r.Price }),
		query.NewColumn("PRICE_EXCLUSIVE", query.Num, func(r *model.Row) any { return r.PriceExclusive }),
		query.NewColumn("PRICE_NETTO", query.Num, func(r *model.Row) any { return r.PriceNetto }),
		query.NewColumn("PRICE_BRUTTO", query.Num, func(r *model.Row) any { return r.PriceBrutto }),
		query.NewColumn("QUANTITY", query.Num, func(r *model.Row) any { return r.Quantity }),
		query.NewColumn("DISCOUNT_TYPE_ID", query.Int, func(r *model.Row) any { return r.DiscountType }),
		query.NewColumn("DISCOUNT_RATE", query.Num, func(r *model.Row) any { return r.DiscountRate }),
		query.NewColumn("DISCOUNT_SUM", query.Num, func(r *model.Row) any { return r.DiscountSum }),
		query.NewColumn("TAX_RATE", query.Num, func(r *model.Row) any {
			if !r.Taxed {
				return nil
			}
			return r.TaxRate
		}),
		query.NewColumn("TAX_INCLUDED", query.Text, func(r *model.Row) any { return value.YesNo(r.TaxIncluded) }),
		query.NewColumn("CUSTOMIZED", query.Text, func(r *model.Row) any { return value.YesNo(r.Customized) }),
		query.NewColumn("MEASURE_CODE", query.Int, func(r *model.Row) any { return r.MeasureCode }),
		query.NewColumn("MEASURE_NAME", query.Text, func(r *model.Row) any { return r.MeasureName }),
		query.NewColumn("SORT", query.Int, func(r *model.Row) any { return r.Sort }),
		query.NewColumn("TYPE", query.Int, func(r *model.Row) any { return r.ProductType() }),
	}
}
