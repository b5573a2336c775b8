package schemas

// goodsEvents are those of the catalogue and the online store.
func goodsEvents() []Event {
	var list []Event
	list = append(list, family("CATALOG.PRODUCT.ON.%s", Event{Fields: []string{"ID", "TYPE"}, AppOnly: true}, addUpdateDelete...)...)
	for _, name := range []string{"PRICE", "PRICE.TYPE", "MEASURE", "ROUNDING"} {
		list = append(list, family("CATALOG."+name+".ON.%s", Event{Fields: onlyID, AppOnly: true}, addUpdateDelete...)...)
	}
	for _, name := range []string{"ORDER", "PAYMENT", "SHIPMENT", "PROPERTYVALUE"} {
		list = append(list, Event{Code: "ON" + name + "ENTITYSAVED", Fields: onlyID}, Event{Code: "ON" + name + "DELETED", Op: OpDelete, Fields: onlyID})
	}
	return list
}

// workEvents are those of tasks, calendars, bookings, groups and people.
// https://apidocs.bitrix24.com/api-reference/tasks/events-tasks/index.html and others.
func workEvents() []Event {
	// The side that does not exist is the text "undefined".
	task := Event{
		Data: []string{"FIELDS_BEFORE", "FIELDS_AFTER", "IS_ACCESSIBLE_BEFORE", "IS_ACCESSIBLE_AFTER"},
		IDs:  []string{"FIELDS_AFTER.ID", "FIELDS_BEFORE.ID"},
	}
	list := family("ONTASK%s", task, addUpdateDelete...)
	list = append(list, family("ONTASKCOMMENT%s", task, addUpdateDelete...)...)
	list = append(list, family("ONLIVEFEEDPOST%s", Event{Fields: []string{"POST_ID"}, IDs: []string{"FIELDS.POST_ID"}}, addUpdateDelete...)...)
	list = append(list, family("ONSONETGROUP%s", Event{Fields: onlyID}, addUpdateDelete...)...)
	list = append(list, family("ONSONETGROUPSUBJECT%s", Event{Fields: onlyID, Legacy: true}, addUpdateDelete...)...)
	for _, name := range []string{"ENTRY", "SECTION"} {
		list = append(list, family("ONCALENDAR"+name+"%s", Event{Data: []string{"id"}, IDs: []string{"id"}}, addUpdateDelete...)...)
	}
	for _, name := range []string{"", "RESOURCE", "RESOURCETYPE", "WAITLISTITEM"} {
		list = append(list, family("ONBOOKING"+name+"%s", Event{Data: onlyID}, addUpdateDelete...)...)
	}
	return append(list,
		// The data of ONUSERADD is the user's record itself, without FIELDS.
		Event{Code: "ONUSERADD", Op: OpAdd, Data: []string{"ID", "ACTIVE", "EMAIL", "NAME", "LAST_NAME"}, AppOnly: true},
		signed("ONSIGNB2EDOCUMENTSTATUSCHANGED", "documentUid", "documentUid", "statusCode", "statusName"),
		signed("ONSIGNB2EMEMBERSTATUSCHANGED", "memberUid", "memberUid", "documentUid", "statusCode", "statusName"),
		Event{Code: "ONSIGNHCMLINKB2EDOCUMENTSIGNED", Data: []string{"id", "company"}, IDs: []string{"id"}},
	)
}

func signed(code, id string, data ...string) Event {
	return Event{Code: code, Data: data, IDs: []string{id}, TextID: true}
}

// talkEvents are those of telephony, chats, bots and open channels. Bots and
// connectors belong to applications.
func talkEvents() []Event {
	call := func(code string, data ...string) Event {
		return Event{Code: code, Data: append([]string{"CALL_ID"}, data...), IDs: []string{"CALL_ID"}, TextID: true}
	}
	list := []Event{
		call("ONVOXIMPLANTCALLINIT", "CALL_TYPE", "ACCOUNT_SEARCH_ID", "PHONE_NUMBER", "CALLER_ID"),
		call("ONVOXIMPLANTCALLSTART", "USER_ID"),
		call(
			"ONVOXIMPLANTCALLEND", "CALL_TYPE", "PHONE_NUMBER", "PORTAL_NUMBER", "PORTAL_USER_ID", "CALL_DURATION", "CALL_START_DATE",
			"COST", "COST_CURRENCY", "CALL_FAILED_CODE", "CALL_FAILED_REASON", "CRM_ACTIVITY_ID",
		),
		call(
			"ONEXTERNALCALLSTART", "PHONE_NUMBER", "PHONE_NUMBER_INTERNATIONAL", "EXTENSION", "USER_ID", "CALL_LIST_ID", "LINE_NUMBER",
			"IS_MOBILE", "CRM_ENTITY_TYPE", "CRM_ENTITY_ID",
		),
		{Code: "ONEXTERNALCALLBACKSTART", Data: []string{"PHONE_NUMBER", "TEXT", "VOICE", "CRM_ENTITY_TYPE", "CRM_ENTITY_ID", "LINE_NUMBER"}},
	}
	message := []string{"BOT", "PARAMS", "USER"}
	list = append(list, family("ONIMBOTMESSAGE%s", Event{Data: message, AppOnly: true}, addUpdateDelete...)...)
	list = append(list, family("ONIMBOT%s", Event{Data: message, AppOnly: true}, "JOINCHAT")...)
	list = append(list, family("ONIMBOT%s", Event{Data: []string{"BOT_ID", "BOT_CODE"}, AppOnly: true}, "DELETE")...)
	list = append(list, family("ONIMCOMMAND%s", Event{Data: []string{"COMMAND", "PARAMS", "USER"}, AppOnly: true}, "ADD")...)

	second := Event{Data: []string{"bot", "message", "chat", "user"}, AppOnly: true}
	list = append(list, family("ONIMBOTV2MESSAGE%s", second, addUpdateDelete...)...)
	list = append(list, family("ONIMBOTV2COMMAND%s", second, "ADD")...)
	list = append(list, family("ONIMBOTV2%s", second, "JOINCHAT", "REACTIONCHANGE", "CONTEXTGET", "DELETE")...)

	connector := Event{Data: []string{"CONNECTOR", "LINE", "MESSAGES"}, AppOnly: true}
	list = append(list, family("ONIMCONNECTORMESSAGE%s", connector, addUpdateDelete...)...)
	list = append(list, family("ONIMCONNECTORDIALOG%s", Event{Data: []string{"CONNECTOR", "LINE", "DATA"}, AppOnly: true}, "START", "FINISH")...)
	list = append(list, family("ONIMCONNECTORLINE%s", Event{AppOnly: true}, "DELETE")...)
	list = append(list, family("ONIMCONNECTORSTATUS%s", Event{Data: []string{"connector", "line"}, AppOnly: true}, "DELETE")...)
	list = append(list, family("ONOPENLINEMESSAGE%s", Event{Data: []string{"CONNECTOR", "LINE", "DATA"}}, addUpdateDelete...)...)
	return append(list, family("ONSESSION%s", Event{Data: []string{"DATA"}}, "START", "FINISH")...)
}

// appEvents are about the application itself.
func appEvents() []Event {
	list := family("ON%s", Event{AppOnly: true},
		"APPINSTALL", "APPUPDATE", "APPUNINSTALL", "APPPAYMENT", "APPMETHODCONFIRM", "APPTEST", "SUBSCRIPTIONRENEW", "OFFLINEEVENT")
	return append(list, family("ONAPPSETTINGS%s", Event{AppOnly: true}, "INSTALL", "DISPLAY", "CHANGE")...)
}
