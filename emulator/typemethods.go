package emulator

import "b24rules/bitrix/php"

// typeColumns are what crm.type.list filters and orders by.
func typeColumns() []column[*entityType] {
	return []column[*entityType]{
		{"id", kindInt, func(t *entityType) any { return int64(t.dynamic.ID) }},
		{"title", kindText, func(t *entityType) any { return t.title }},
		{"code", kindText, func(*entityType) any { return "" }},
		{"createdBy", kindInt, func(*entityType) any { return int64(1) }},
		{"entityTypeId", kindInt, func(t *entityType) any { return int64(t.id) }},
		{"isStagesEnabled", kindBool, func(t *entityType) any { return !t.dynamic.NoStages }},
		{"isLinkWithProductsEnabled", kindBool, func(t *entityType) any { return t.dynamic.Products }},
		{"createdTime", kindTime, func(t *entityType) any { return t.created }},
		{"updatedTime", kindTime, func(t *entityType) any { return t.created }},
		{"updatedBy", kindInt, func(*entityType) any { return int64(1) }},
	}
}

func (s *store) typeJSON(t *entityType) *php.Array {
	d := t.dynamic
	return object(
		"id", d.ID, "title", t.title, "code", "", "createdBy", 1, "entityTypeId", t.id, "customSectionId", nil,
		"isCategoriesEnabled", "N", "isStagesEnabled", yesNo(!d.NoStages), "isBeginCloseDatesEnabled", yesNo(d.Dates),
		"isClientEnabled", yesNo(d.Clients), "isUseInUserfieldEnabled", "N", "isLinkWithProductsEnabled", yesNo(d.Products),
		"isMycompanyEnabled", yesNo(d.OwnCompany), "isDocumentsEnabled", "N", "isSourceEnabled", yesNo(d.Sources),
		"isObserversEnabled", yesNo(d.Observers), "isRecyclebinEnabled", "N", "isAutomationEnabled", "Y",
		"isBizProcEnabled", "N", "isSetOpenPermissions", "Y", "isPaymentsEnabled", "N", "isCountersEnabled", "N",
		"createdTime", s.stamp(t.created), "updatedTime", s.stamp(t.created), "updatedBy", 1,
	)
}

// typeList is crm.type.list. It shows smart processes only.
func typeList(c *call) (any, error) {
	found, err := selectRows(c, c.store().dynamicTypes(), typeColumns())
	if err != nil {
		return nil, err
	}
	types := php.NewArray()
	for _, t := range found {
		types.Append(c.store().typeJSON(t))
	}
	return object("types", types), nil
}

// typeByEntityTypeID is crm.type.getByEntityTypeId. Its error code is the
// number 0.
func typeByEntityTypeID(c *call) (any, error) {
	id, err := c.intParam("entityTypeId")
	if err != nil {
		return nil, err
	}
	t := c.store().types[int(id)]
	if t == nil || t.dynamic == nil {
		return nil, &restError{status: 400, code: intValue(0), text: "Smart process not found"}
	}
	row := c.store().typeJSON(t)
	parents := php.NewArray()
	for _, id := range t.dynamic.Parents {
		parents.Append(object("entityTypeId", id, "isChildrenListEnabled", "Y", "isPredefined", "N"))
	}
	row.Set("relations", object("parent", parents, "child", php.NewArray()))
	row.Set("linkedUserFields", php.NewArray())
	row.Set("customSections", php.NewArray())
	return object("type", row), nil
}
