package rules

// listing is how people who do not know its name find a rule set.
type listing struct {
	russian string // the title in Russian
	words   string // words that people use for it and that no title has
}

var listings = map[string]listing{
	"amount-comment": {
		"Комментарий в ленте, когда меняется сумма сделки",
		"history log changed sum price; история изменение суммы цены лента",
	},
	"amount-in-currency": {
		"Сумма сделки в базовой валюте портала",
		"convert conversion exchange rate rouble dollar euro; пересчёт перевод курс валют рубли доллары евро",
	},
	"amount-with-delivery": {
		"Сумма сделки складывается из товаров и доставки",
		"shipping total; итог общая стоимость товары",
	},
	"birthday": {
		"Напоминание в день рождения контакта",
		"congratulate client; поздравление поздравить клиента",
	},
	"children-done": {
		"Сделка переходит дальше, когда закрыты все её элементы смарт-процесса",
		"child linked closed stage move automatically finished; дочерние связанные закрыты завершены перевести перейдёт стадия автоматически",
	},
	"company-owner": {
		"Новый ответственный компании получает её открытые сделки и контакты",
		"manager change reassign transfer clients; смена сменить ответственного менеджера передать переназначить клиентов",
	},
	"company-won-total": {
		"Сумма и число выигранных сделок в полях компании",
		"revenue turnover customer rollup calculate; оборот выручка клиента посчитать итог",
	},
	"contact-duplicate": {
		"Контакт называет другие контакты с тем же телефоном",
		"find same double; дубль дубли дубликат дубликаты найти поиск одинаковый двойник",
	},
	"contact-phones": {
		"Телефоны контактов в международном формате",
		"format normalise normalize number +7 8; формат нормализация номер номера приведение единый вид +7 8",
	},
	"contract-end": {
		"Напоминание за несколько дней до окончания договора",
		"remind date expires expiry subscription renewal deadline smart process; напомнить срок истекает заканчивается продление дата дней смарт-процесс",
	},
	"contract-number": {
		"Номера договоров без пропусков и повторов",
		"numbering document sequence counter automatic smart process; нумерация номер документа счётчик порядковый автоматический сквозная смарт-процесс",
	},
	"deal-commission": {
		"Комиссия по сделке по шкале",
		"bonus percent manager motivation salary; бонус процент менеджера мотивация зарплата вознаграждение",
	},
	"deal-margin": {
		"Маржа сделки по закупочным ценам каталога",
		"profit cost purchase price products; прибыль себестоимость наценка рентабельность закупка товары",
	},
	"deal-order": {
		"Элемент смарт-процесса «Заказ» с товарами сделки",
		"copy products goods child spa; скопировать копировать перенести товары товарные позиции создать дочерний",
	},
	"deal-payments": {
		"Оплаты сделки: оплачено и долг в полях сделки",
		"paid instalment partial balance smart process; оплата оплачен платёж платежи рассрочка остаток частичная задолженность смарт-процесс",
	},
	"deal-shipments": {
		"Элемент списка отгрузок на каждую товарную позицию сделки",
		"product rows delivery universal list lines; товары товарные позиции строки универсальный список отгрузка",
	},
	"deal-title": {
		"Название сделки из компании и даты начала",
		"name rename automatic template; имя переименовать наименование автоматическое шаблон",
	},
	"deal-untouched": {
		"Напоминание, если сделка слишком долго стоит на одной стадии",
		"stuck stalled forgotten idle remind days notify; зависла застряла забытая просрочена висит напомнить уведомление дней",
	},
	"discount-limit": {
		"Сообщение руководителю о слишком большой скидке",
		"approval notify warn margin; согласование уведомить контроль превышение процент",
	},
	"invoice-overdue": {
		"Напоминание, если счёт не оплачен в срок",
		"unpaid debt late payment remind; не оплачен просрочен просроченный долг дебиторка напомнить оплата",
	},
	"invoice-total": {
		"Итог каждого счёта в элементе смарт-процесса",
		"sum product rows calculate smart process; сумма счетов товары посчитать",
	},
	"large-deal-observers": {
		"Наблюдатели в крупных сделках",
		"watch watcher head director amount big; руководитель директор добавить большая сумма наблюдатель",
	},
	"last-call": {
		"Время последнего звонка в поле сделки",
		"telephony phone activity date contact; телефония дело дата контакта разговор",
	},
	"lead-least-load": {
		"Новые лиды получают менеджеры с наименьшим числом открытых лидов",
		"distribute distribution round robin assign queue employees; распределение распределить распределять очередь назначить ответственного нагрузка сотрудники",
	},
	"lead-source": {
		"Сделка берёт источник и UTM-метки своего лида",
		"utm copy transfer analytics advertising; передать перенести скопировать аналитика реклама сквозная",
	},
	"lead-untouched": {
		"Сообщение руководителю, если новый лид никто не взял вовремя",
		"reaction response speed sla new forgotten; реакция скорость обработка новый необработанный забыт контроль",
	},
	"lead-utm": {
		"UTM-метки лида из адреса его страницы",
		"tags landing parse query advertising source; разбор ссылка url лендинг реклама источник теги",
	},
	"list-to-items": {
		"Элемент смарт-процесса на каждый элемент списка",
		"copy universal import elements spa; скопировать перенести универсальный список импорт создать",
	},
	"morning-report": {
		"Утренний отчёт об открытых сделках",
		"daily summary statistics notify manager; ежедневная сводка статистика уведомление руководителю каждый день",
	},
	"product-groups": {
		"Таблица групп товаров в поле сделки",
		"services goods category sum by; услуги товары категории сумма по группам комментарий",
	},
	"rate-times-days": {
		"Итог сделки: ставка, умноженная на дни",
		"rent rental multiply formula calculate hours daily; аренда прокат умножить формула посчитать расчёт вычисляемое поле дневная",
	},
	"required-field": {
		"Напоминание, если сделка дошла до стадии без заполненного поля",
		"mandatory empty check fill forgot stage; обязательное поле пустое проверка заполнить забыли",
	},
	"shop-order": {
		"Заказ магазина становится контактом и сделкой",
		"website site web form webhook json import e-commerce create; сайт с сайта интернет-магазин вебхук форма создать сделку импорт",
	},
	"stage-before": {
		"Сделка хранит предыдущую стадию",
		"previous last history pipeline moved; прежняя прошлая история воронка переход",
	},
	"stock-warning": {
		"Предупреждение, если на складе меньше, чем нужно сделке",
		"shortage inventory remains store reserve goods not enough; остатки остаток склад нехватка не хватает товар резерв",
	},
	"task-moves-deal": {
		"Завершённая задача переводит сделку на стадию",
		"close closed complete stage automatically; закрыта закрытая завершить выполнена выполненная задача двигает сделку автоматически",
	},
	"won-invoice": {
		"Смарт-счёт с товарами выигранной сделки",
		"create bill payment automatically from; создать выставить автоматически из сделки по сделке",
	},
	"won-task": {
		"Задача ответственному, когда сделка выиграна",
		"create automatically closed ship reminder; создать поставить автоматически успешная закрыта завершена отгрузить",
	},
	"won-telegram": {
		"Сообщение в Telegram, когда сделка выиграна",
		"notify notification bot messenger chat channel; телеграм телега уведомление бот мессенджер чат канал",
	},
	"won-to-accounting": {
		"Выигранная сделка уходит в другую систему, например 1С, и её номер возвращается",
		"erp 1c export send api integration order; выгрузка обмен интеграция отправить заказ бухгалтерия учёт",
	},
	"workday-deadline": {
		"Дата закрытия сделки через несколько рабочих дней после начала",
		"due date weekend holiday business calendar; срок дедлайн выходные праздники календарь",
	},
}
