package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/b24rules/b24rules/rules"
)

// searches are words with which people would look for the task of a rule set, as they ask for
// it in forums.
var searches = map[string][]string{
	"won-task":             {"create a task when a deal is won", "создать задачу, когда сделка выиграна"},
	"won-invoice":          {"create invoice from deal", "выставить счёт по сделке"},
	"deal-order":           {"copy products to smart process", "товары сделки в смарт-процесс"},
	"company-won-total":    {"revenue of a company", "сумма сделок компании"},
	"deal-payments":        {"payments of a deal", "остаток оплаты по сделке"},
	"lead-least-load":      {"distribute leads", "распределение лидов между менеджерами"},
	"contact-duplicate":    {"find duplicate contacts", "дубли контактов по телефону"},
	"children-done":        {"move deal when all items are closed", "перевести сделку, когда закрыты все элементы"},
	"contract-end":         {"remind before contract expires", "напомнить за 30 дней до окончания договора"},
	"amount-in-currency":   {"convert currency", "пересчёт суммы по курсу валюты"},
	"deal-margin":          {"profit of a deal", "прибыль по сделке"},
	"stock-warning":        {"not enough stock", "не хватает товара на складе"},
	"lead-source":          {"copy source from lead to deal", "источник лида в сделку"},
	"won-telegram":         {"telegram notification", "уведомление в телеграм"},
	"won-to-accounting":    {"export to 1C", "выгрузка в 1С"},
	"shop-order":           {"website order webhook", "заказ с сайта создать сделку"},
	"large-deal-observers": {"add observers", "добавить наблюдателя"},
	"amount-comment":       {"comment when amount changed", "история изменения суммы сделки"},
	"list-to-items":        {"list elements to smart process", "элементы списка в смарт-процесс"},
	"deal-commission":      {"manager bonus", "бонус менеджера"},
	"lead-utm":             {"utm from landing url", "utm из ссылки"},
	"contact-phones":       {"normalise phone numbers", "привести телефоны к формату +7"},
	"amount-with-delivery": {"delivery in the deal amount", "добавить доставку в сумму сделки"},
	"stage-before":         {"previous stage", "предыдущая стадия сделки"},
	"rate-times-days":      {"multiply rate by days", "умножить ставку на дни"},
	"contract-number":      {"number contracts", "нумерация договоров"},
	"workday-deadline":     {"deadline in working days", "срок в рабочих днях"},
	"company-owner":        {"change responsible for deals of company", "сменить ответственного в сделках компании"},
	"last-call":            {"date of last call", "дата последнего звонка"},
	"task-moves-deal":      {"closed task moves deal", "задача закрыта, сменить стадию"},
	"product-groups":       {"sum by product groups", "сумма по группам товаров"},
	"deal-shipments":       {"list row for each product", "товары сделки в список"},
	"invoice-total":        {"total of invoice", "итог счёта"},
	"birthday":             {"birthday greeting", "поздравить с днём рождения"},
	"deal-title":           {"rename deals", "название сделки по шаблону"},
	"deal-untouched":       {"stuck deals", "сделка зависла"},
	"discount-limit":       {"approve discount", "согласование скидки"},
	"invoice-overdue":      {"overdue invoice", "просроченные счета"},
	"lead-untouched":       {"response time for leads", "скорость реакции на лид"},
	"morning-report":       {"daily report", "ежедневный отчёт"},
	"required-field":       {"check empty field", "обязательное поле не заполнено"},
}

// TestSearch finds each rule set by words of people, in both languages, among few others.
func TestSearch(t *testing.T) {
	const few = 6
	for _, s := range rules.Catalogue() {
		for _, words := range searches[s.Name] {
			if got := search(words); !slices.Contains(got, s.Name) || len(got) > few {
				t.Errorf("%s for %q: %v", s.Name, words, got)
			}
		}
		if len(searches[s.Name]) != 2 {
			t.Errorf("no searches for %s", s.Name)
		}
	}
	for _, words := range []string{"horse", "лошадь", "контракт лошадь дом"} {
		if got := search(words); len(got) > 0 {
			t.Errorf("%s: %v", words, got)
		}
	}
}

// search returns the names of the rule sets that have most of the words.
func search(words string) (names []string) {
	sets, _ := rules.Search(strings.Fields(words))
	for _, s := range sets {
		names = append(names, s.Name)
	}
	return names
}
