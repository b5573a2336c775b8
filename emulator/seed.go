package emulator

import "github.com/b24rules/b24rules/emulator/internal/model"

// DemoIDs are what Demo has set up.
type DemoIDs struct {
	// TotalsType is the entityTypeId of the smart process "Invoice totals",
	// whose fields are InvoiceField and TotalField.
	TotalsType   int
	InvoiceField string // as crm.item.* names it
	TotalField   string
	// ShipmentList is the IBLOCK_ID of the list "Shipments", and Properties
	// are its properties by their codes: DEAL is PROPERTY_101.
	ShipmentList int
	Properties   map[string]string
}

// Demo sets up what the shipped rule sets work on: a smart process for the
// totals of invoices and a list for the shipments of deals. The ids are the
// same in each portal.
func Demo(p *Portal) DemoIDs {
	ids := DemoIDs{
		TotalsType: 1038, InvoiceField: "ufCrm5InvoiceId", TotalField: "ufCrm5Total", ShipmentList: 47,
		Properties: map[string]string{},
	}
	p.AddType(model.Type{
		EntityTypeID: ids.TotalsType, ID: 5, Title: "Invoice totals",
		Fields: []model.UserField{
			{Name: "UF_CRM_5_INVOICE_ID", Type: "integer", Title: "Invoice"},
			{Name: "UF_CRM_5_TOTAL", Type: "double", Title: "Total", Precision: 2},
			{Name: "UF_CRM_5_NOTE", Type: "string", Title: "Note"},
		},
	})
	p.AddList(model.List{ID: ids.ShipmentList, Code: "shipments", Name: "Shipments"})
	for i, f := range []model.ListField{
		{Code: "DEAL", Type: "N", Name: "Deal"},
		{Code: "PRODUCT_ID", Type: "N", Name: "Product"},
		{Code: "QUANTITY", Type: "N", Name: "Quantity"},
		{Code: "PRICE", Type: "N", Name: "Price"},
		{Code: "SUM", Type: "N", Name: "Sum"},
		{Code: "SHIPPED", Type: "L", Name: "Shipped", Options: []string{"Yes"}},
		{Code: "COMMENT", Type: "S", Name: "Comment"},
	} {
		f.ID = 101 + i
		// The list was set up above, so this cannot fail.
		ids.Properties[f.Code], _ = p.AddListField(ids.ShipmentList, f)
	}
	return ids
}
