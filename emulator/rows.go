package emulator

import (
	"github.com/b24rules/b24rules/engine/num"
)

// Types of discount.
const (
	discountSum     = 1
	discountPercent = 2
)

// defaultMeasure is the code of pieces.
const defaultMeasure = 796

// row is a product row. price is final: the discount is off and the tax is in
// it; the other prices are computed from it.
type row struct {
	id    int64
	owner owner
	rowValues
}

// rowValues are what makes two rows equal.
type rowValues struct {
	productID   int64
	productName string

	price, priceExclusive, priceNetto, priceBrutto, quantity num.Num

	discountType              int64
	discountRate, discountSum num.Num
	taxRate                   num.Num
	taxed                     bool // false is no tax, which differs from 0 %
	taxIncluded, customized   bool
	measureCode               int64
	measureName               string
	sort                      int64
}

func (r *rowValues) equal(o *rowValues) bool {
	return r.productID == o.productID && r.productName == o.productName &&
		r.price.Equal(o.price) && r.priceExclusive.Equal(o.priceExclusive) &&
		r.priceNetto.Equal(o.priceNetto) && r.priceBrutto.Equal(o.priceBrutto) && r.quantity.Equal(o.quantity) &&
		r.discountType == o.discountType && r.discountRate.Equal(o.discountRate) && r.discountSum.Equal(o.discountSum) &&
		r.taxed == o.taxed && r.taxRate.Equal(o.taxRate) && r.taxIncluded == o.taxIncluded && r.customized == o.customized &&
		r.measureCode == o.measureCode && r.measureName == o.measureName && r.sort == o.sort
}

// rowType is the product type: 4 is an offer, as products of the catalog are.
func (r *row) productType() int64 {
	if r.productID > 0 {
		return 4
	}
	return 1
}

// newRowValues are those of a row of which nothing is given.
func newRowValues() rowValues {
	return rowValues{
		quantity: num.FromInt(1), discountType: discountPercent, customized: true, measureCode: defaultMeasure,
	}
}

func (s *store) ownerType(o owner) string { return s.types[o.entityTypeID].short }
