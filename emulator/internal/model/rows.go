package model

import (
	"github.com/b24rules/b24rules/engine/num"
)

// Types of discount.
const (
	DiscountSum     = 1
	DiscountPercent = 2
)

// DefaultMeasure is the code of pieces.
const DefaultMeasure = 796

// Row is a product row. price is final: the discount is off and the tax is in
// it; the other prices are computed from it.
type Row struct {
	ID    int64
	Owner Owner
	RowValues
}

// RowValues are what makes two rows equal.
type RowValues struct {
	ProductID   int64
	ProductName string

	Price, PriceExclusive, PriceNetto, PriceBrutto, Quantity num.Num

	DiscountType              int64
	DiscountRate, DiscountSum num.Num
	TaxRate                   num.Num
	Taxed                     bool // false is no tax, which differs from 0 %
	TaxIncluded, Customized   bool
	MeasureCode               int64
	MeasureName               string
	Sort                      int64
}

func (r *RowValues) Equal(o *RowValues) bool {
	return r.ProductID == o.ProductID && r.ProductName == o.ProductName &&
		r.Price.Equal(o.Price) && r.PriceExclusive.Equal(o.PriceExclusive) &&
		r.PriceNetto.Equal(o.PriceNetto) && r.PriceBrutto.Equal(o.PriceBrutto) && r.Quantity.Equal(o.Quantity) &&
		r.DiscountType == o.DiscountType && r.DiscountRate.Equal(o.DiscountRate) && r.DiscountSum.Equal(o.DiscountSum) &&
		r.Taxed == o.Taxed && r.TaxRate.Equal(o.TaxRate) && r.TaxIncluded == o.TaxIncluded && r.Customized == o.Customized &&
		r.MeasureCode == o.MeasureCode && r.MeasureName == o.MeasureName && r.Sort == o.Sort
}

// rowType is the product type: 4 is an offer, as products of the catalog are.
func (r *Row) ProductType() int64 {
	if r.ProductID > 0 {
		return 4
	}
	return 1
}

// NewRowValues are those of a row of which nothing is given.
func NewRowValues() RowValues {
	return RowValues{
		Quantity: num.FromInt(1), DiscountType: DiscountPercent, Customized: true, MeasureCode: DefaultMeasure,
	}
}

func (s *Store) OwnerType(o Owner) string { return s.Types[o.EntityTypeID].Short }
