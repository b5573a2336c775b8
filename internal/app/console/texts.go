package console

import (
	"fmt"
	"strings"

	"github.com/b24rules/b24rules/internal/cause"
)

// The languages. A text has its English and its Russian form in this order.
const (
	english = 0
	russian = 1
)

var (
	languages     = [...]string{"en", "ru"}
	languageNames = [...]string{"English", "Русский"}

	russianDays   = [...]string{"воскресенье", "понедельник", "вторник", "среда", "четверг", "пятница", "суббота"}
	russianMonths = [...]string{"января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря"}
)

// text returns a text with its arguments. An unknown key is a mistake of ours, and shows itself.
func text(lang int, key string, args ...any) string {
	form, ok := texts[key]
	if !ok {
		if strings.HasSuffix(key, ".help") {
			return ""
		}
		return "[" + key + "]"
	}
	if len(args) == 0 {
		return form[lang]
	}
	return fmt.Sprintf(form[lang], args...)
}

// counted returns a number with its noun. The forms of plurals have the separator |.
func counted(lang int, key string, n int) string {
	form, ok := plurals[key]
	if !ok {
		return "[" + key + "]"
	}
	forms := strings.Split(form[lang], "|")
	return fmt.Sprintf(forms[pluralForm(lang, n)], number(lang, n))
}

// pluralNames are the names of the forms of plurals, as Intl.PluralRules gives them.
var pluralNames = [len(languages)][]string{{"one", "other"}, {"one", "few", "many"}}

// pluralForm is the place of the form for a number: one and other in English; one, few and many
// in Russian.
func pluralForm(lang, n int) int {
	if lang != russian {
		if n == 1 {
			return 0
		}
		return 1
	}
	n %= 100
	switch {
	case n >= 11 && n <= 14:
		return 2
	case n%10 == 1:
		return 0
	case n%10 >= 2 && n%10 <= 4:
		return 1
	}
	return 2
}

// causeTitle says in a short sentence what is wrong.
func (q *request) causeTitle(c cause.Cause) string {
	step := c.Step
	if step == "" {
		step = c.Rule
	} else if c.Rule != "" {
		step = c.Rule + " / " + c.Step
	}
	switch c.Kind {
	case cause.Refused:
		if c.Code == "" {
			return q.t("cause.refused.plain", c.Method)
		}
		return q.t("cause.refused", c.Method, c.Code)
	case cause.Portal:
		return q.t("cause.portal", q.t("cond."+c.Code))
	case cause.Answer:
		return q.t("cause.answer", c.Method)
	case cause.Outside:
		return q.t("cause.outside", step, c.Code)
	case cause.Limit:
		return q.t("cause.limit", c.Code, step)
	case cause.NoRule:
		return q.t("cause.no-rule", c.Rule)
	case cause.Cycle, cause.Gone:
		return q.t("cause." + string(c.Kind))
	case cause.Formula, cause.Missing, cause.Kept, cause.Doubling, cause.Stopped, cause.Timeout, cause.Other:
		return q.t("cause."+string(c.Kind), step)
	}
	return q.t("cause.unknown")
}

// plurals are nouns with their number.
var plurals = map[string][2]string{
	"portals":       {"%s portal|%s portals", "%s портал|%s портала|%s порталов"},
	"ofPortals":     {"%s portal|%s portals", "%s портала|%s порталов|%s порталов"},
	"fine":          {"%s is fine|%s are fine", "%s в порядке|%s в порядке|%s в порядке"},
	"deadLetters":   {"%s dead letter|%s dead letters", "%s остановленный запуск|%s остановленных запуска|%s остановленных запусков"},
	"waiting":       {"%s run waits|%s runs wait", "%s запуск ждёт|%s запуска ждут|%s запусков ждут"},
	"runningNow":    {"%s running|%s running", "%s выполняется|%s выполняются|%s выполняются"},
	"eventsWait":    {"%s event waits for rules|%s events wait for rules", "%s событие ждёт правил|%s события ждут правил|%s событий ждут правил"},
	"causes":        {"%s cause|%s causes", "%s причина|%s причины|%s причин"},
	"runsN":         {"%s run|%s runs", "%s запуск|%s запуска|%s запусков"},
	"writes":        {"%s write|%s writes", "%s запись|%s записи|%s записей"},
	"commands":      {"%s command|%s commands", "%s команда|%s команды|%s команд"},
	"moreCommands":  {"%s further command that the record omits|%s further commands that the record omits", "ещё %s команда не вошла в запись|ещё %s команды не вошли в запись|ещё %s команд не вошли в запись"},
	"rows":          {"%s row|%s rows", "%s строка|%s строки|%s строк"},
	"moreRows":      {"%s further row|%s further rows", "ещё %s строка|ещё %s строки|ещё %s строк"},
	"moreEvents":    {"%s earlier event|%s earlier events", "%s событие раньше|%s события раньше|%s событий раньше"},
	"messages":      {"%s message waits|%s messages wait", "%s сообщение ждёт|%s сообщения ждут|%s сообщений ждут"},
	"asleep":        {"%s asleep|%s asleep", "%s спит|%s спят|%s спят"},
	"newer.runs":    {"%s newer run|%s newer runs", "%s новый запуск|%s новых запуска|%s новых запусков"},
	"newer.events":  {"%s newer event|%s newer events", "%s новое событие|%s новых события|%s новых событий"},
	"newerOfEntity": {"%s run of the rule and entity is newer.|%s runs of the rule and entity are newer.", "%s запуск правила и объекта новее.|%s запуска правила и объекта новее.|%s запусков правила и объекта новее."},
	"ofEntities":    {"%s entity|%s entities", "%s объекта|%s объектов|%s объектов"},
	"moreEntities":  {"%s further entity|%s further entities", "ещё %s объект|ещё %s объекта|ещё %s объектов"},
	"wroteN":        {"%s wrote|%s wrote", "%s с записью|%s с записью|%s с записью"},
	"rulesN":        {"%s rule|%s rules", "%s правило|%s правила|%s правил"},
	"sets":          {"%s rule set|%s rule sets", "%s набор правил|%s набора правил|%s наборов правил"},
	"ofSets":        {"%s rule set|%s rule sets", "%s набора правил|%s наборов правил|%s наборов правил"},
	"errors":        {"%s error|%s errors", "%s ошибка|%s ошибки|%s ошибок"},
	"warnings":      {"%s warning|%s warnings", "%s предупреждение|%s предупреждения|%s предупреждений"},
	"othersCause":   {"%s other run stopped for the same cause|%s other runs stopped for the same cause", "По той же причине остановлен ещё %s запуск|По той же причине остановлены ещё %s запуска|По той же причине остановлены ещё %s запусков"},
	"tries":         {"%s try is left|%s tries are left", "осталась %s попытка|осталось %s попытки|осталось %s попыток"},
	"minutes":       {"%s minute|%s minutes", "%s минуту|%s минуты|%s минут"},

	"did.replayed":  {"%s run was replayed: it waits for its start.|%s runs were replayed: they wait for their start.", "%s запуск повторяется: он ждёт начала.|%s запуска повторяются: они ждут начала.|%s запусков повторяются: они ждут начала."},
	"did.discarded": {"%s run was discarded.|%s runs were discarded.", "%s запуск отменён.|%s запуска отменены.|%s запусков отменены."},
}

// texts are all texts of the pages but plurals.
var texts = map[string][2]string{
	"frame.skip":     {"Skip to content", "К содержимому"},
	"frame.sections": {"Sections", "Разделы"},
	"frame.open":     {"This console has no users: everybody on this machine is an operator.", "В этой консоли нет пользователей: каждый на этой машине — оператор."},
	"nav.portals":    {"Portals", "Порталы"},
	"nav.runs":       {"Runs", "Запуски"},
	"nav.parked":     {"dead letters", "остановлено"},
	"nav.events":     {"Events", "События"},
	"nav.rules":      {"Rules", "Правила"},
	"nav.why":        {"Why", "Почему"},
	"nav.audit":      {"Audit", "Журнал"},
	"nav.keys":       {"Keys", "Клавиши"},
	"nav.logout":     {"Sign out", "Выйти"},
	"role.viewer":    {"viewer", "наблюдатель"},
	"role.operator":  {"operator", "оператор"},
	"live.on":        {"Live, as of", "Обновляется, на"},
	"live.asof":      {"As of", "На"},
	"live.stale":     {"Not live. As of", "Не обновляется. На"},
	"live.ended":     {"Not live: the session has ended, sign in again. As of", "Не обновляется: сеанс окончен, войдите снова. На"},
	"away.database":  {"The database cannot be read now, and buttons do nothing until it is back. Below is what was read at", "База данных сейчас не читается, кнопки не действуют, пока она не вернётся. Ниже то, что прочитано в"},
	"away.server":    {"The server does not answer. Below is what it showed at", "Сервер не отвечает. Ниже то, что он показывал в"},
	"foot.json":      {"This page as JSON", "Эта страница в JSON"},
	"foot.command":   {"The same in a terminal:", "То же в терминале:"},

	"col.portal": {"Portal", "Портал"}, "col.portals": {"Portals", "Порталы"}, "col.state": {"State", "Состояние"}, "col.why": {"Why", "Почему"},
	"col.lastevent": {"Last event", "Последнее событие"}, "col.lag": {"Lag", "Отставание"}, "col.parked": {"Dead letters", "Остановлено"}, "col.waiting": {"Waiting", "Ждут"},
	"col.time": {"Time", "Время"}, "col.run": {"Run", "Запуск"}, "col.runs": {"Runs", "Запуски"}, "col.rule": {"Rule", "Правило"}, "col.rules": {"Rules", "Правила"},
	"col.entity": {"Entity", "Объект"}, "col.what": {"What", "Что"}, "col.cause": {"Cause", "Причина"}, "col.where": {"Where", "Где"},
	"col.firstlast": {"First and last", "Первый и последний"}, "col.actions": {"Actions", "Действия"}, "col.version": {"Version", "Версия"},
	"col.event": {"Event", "Событие"}, "col.code": {"Code", "Код"}, "col.met": {"Rules", "Правила"}, "col.whynot": {"Why not", "Почему нет"},
	"col.when": {"When", "Когда"}, "col.value": {"Value or fields", "Значение или поля"}, "col.writer": {"Writer", "Кто записал"}, "col.change": {"Before → after", "Было → стало"}, "col.because": {"Because of", "Из-за чего"},
	"col.day": {"Day", "День"}, "col.nothing": {"Nothing to do", "Делать нечего"}, "col.wrote": {"Wrote", "С записью"}, "col.today": {"Today", "Сегодня"}, "col.runstoday": {"Runs today", "Запусков сегодня"},
	"label.runs": {"runs", "запуски"}, "label.wrote": {"wrote", "с записью"},
	"col.file": {"File", "Файл"}, "col.live": {"Live", "Работает"}, "col.since": {"Since", "С"}, "col.disk": {"On disk", "На диске"}, "col.who": {"Who", "Кто"}, "col.via": {"From", "Откуда"},
	"col.did": {"Did", "Сделал"}, "col.target": {"To what", "С чем"}, "col.result": {"Result", "Итог"},
	"label.event": {"event", "событие"}, "label.lag": {"lag", "отставание"}, "label.parked": {"dead letters", "остановлено"}, "label.live": {"live", "работает"}, "label.portals": {"portals", "порталы"},

	"filter.any": {"any", "любой"}, "filter.now": {"now", "сейчас"}, "filter.button": {"Filter", "Показать"}, "filter.portal.label": {"Portal", "Портал"}, "filter.rule.label": {"Rule", "Правило"},
	"filter.entity.label": {"Entity", "Объект"}, "filter.state.label": {"State", "Состояние"}, "filter.outcome.label": {"Outcome", "Итог"}, "filter.from.label": {"From, portal's time", "С, время портала"}, "filter.to.label": {"To", "До"},
	"filter.q.label": {"Text in errors and entities", "Текст ошибки, объект"}, "filter.code.label": {"Event", "Событие"}, "filter.met.label": {"Met", "Правила"},
	"filter.wrong":  {"A filter cannot be read", "Условие не удалось прочитать"},
	"filter.portal": {"no portal %q", "нет портала %q"},
	"filter.order":  {"the end is before the start", "конец раньше начала"},
	"filter.before": {"%q is no number", "%q — не число"},
	"filter.met":    {"%q: want none or any", "%q: нужно none или any"},
	"filter.what":   {"%q is no action", "нет действия %q"},
	"filter.needed": {"which portal?", "какой портал?"},

	"cond.fine": {"fine", "в порядке"}, "cond.paused": {"paused", "на паузе"}, "cond.removed": {"removed", "убран"}, "cond.unauthorised": {"unauthorised", "нет доступа"},
	"cond.unreachable": {"unreachable", "недоступен"}, "cond.blocked": {"blocked", "заблокирован"}, "cond.rules broken": {"rules broken", "ошибка в правилах"}, "cond.rule stopped": {"rule stopped", "правило остановлено"},
	"cond.events refused": {"events refused", "события отклонены"},
	"cond.rights reduced": {"rights reduced", "права урезаны"},
	"cond.failing":        {"failing", "сбои"}, "cond.behind": {"behind", "отстаёт"}, "cond.silent": {"silent", "молчит"},
	"rule.stopped": {"stopped", "остановлено"}, "rule.removed": {"removed", "убрано"}, "rule.broken": {"broken", "ошибка в файле"}, "rule.outdated": {"outdated", "работает прежняя версия"},
	"why.behind":  {"a run has been due for %s", "запуск ждёт уже %s"},
	"why.failing": {"%s of %s: %s", "%s правила %s: %s"},
	"why.silent":  {"no event for a working day; its subscription may be lost", "рабочий день без событий; возможно, потеряна подписка"},
	"why.since":   {"since %s", "с %s"},
	"why.probe":   {"next probe %s", "следующая проверка %s"},

	"portals.heading.one": {"%s of %s needs a look", "Требует внимания: %s из %s"},
	"portals.heading":     {"%s of %s need a look", "Требуют внимания: %s из %s"},
	"portals.fine":        {"%s, all fine", "%s, всё в порядке"},
	"portals.find":        {"Find a portal", "Найти портал"},
	"portals.causes":      {"%s by cause", "%s по причинам"},
	"portals.all":         {"All", "Все"},
	"portals.alerts":      {"Alerts do not reach %s since %s, %s: %s. Try it:", "Тревоги не доходят до %s с %s, %s: %s. Проверить:"},
	"portals.none":        {"No portal matches.", "Таких порталов нет."},
	"portals.more":        {"%s more, all fine", "Ещё %s, всё в порядке"},

	"portal.heading":    {"%s is %s", "%s: %s"},
	"portal.plan":       {"Plan an entity", "План для объекта"},
	"portal.resume":     {"Resume", "Продолжить"},
	"portal.probe":      {"Ask the portal now", "Спросить портал сейчас"},
	"portal.pause":      {"Pause…", "Пауза…"},
	"portal.pause.all":  {"Pause all rules", "Остановить все правила"},
	"portal.pause.rule": {"Pause", "Пауза"},
	"portal.reason":     {"Reason, for others", "Причина, для других"},
	"portal.since":      {"since %s", "с %s"},
	"portal.newest":     {"Newest of them", "Последний из них"},
	"portal.address":    {"Address", "Адрес"},
	"portal.workedby":   {"Worked by", "Работает"},
	"portal.idle":       {"no process: serve is not running", "никто: serve не запущен"},
	"portal.time":       {"Portal's time", "Время портала"},
	"portal.events":     {"its events", "его события"},
	"portal.drift":      {"Drift", "Расхождения"},
	"drift.none":        {"none", "нет"},
	"drift.differs":     {"%s of %s differ from what the rule would write, compared %s.", "Отличаются от того, что записало бы правило: %s из %s, сверено %s."},
	"drift.notseen":     {"not compared with the portal, %s: %s.", "не удалось сверить с порталом, %s: %s."},
	"drift.help":        {"This repairs it:", "Исправит команда:"},
	"portal.window":     {"Not caught up since", "Не догнано с"},
	"portal.orphan":     {"Rule %s is gone, and %d records of %s that it made have no rule", "Правила %s больше нет, %d записей в %s остались без правила"},
	"portal.causes":     {"%d more causes", "Ещё причин: %d"},
	"portal.runs":       {"Latest runs", "Последние запуски"},
	"portal.allruns":    {"All its runs", "Все запуски"},

	"state.parked": {"parked", "остановлен"}, "state.waiting": {"waiting", "ждёт"}, "state.retrying": {"retrying", "повторится"}, "state.blocked": {"blocked", "ждёт объект"}, "state.queued": {"waiting", "ждёт"},
	"state.asleep": {"asleep", "спит"}, "state.running": {"running", "выполняется"}, "state.succeeded": {"succeeded", "выполнен"}, "state.done": {"done", "готово"}, "state.discarded": {"discarded", "отменён"},
	"what.blocked":  {"another run of the entity is running", "выполняется другой запуск этого объекта"},
	"what.due":      {"due %s", "начнётся в %s"},
	"what.asleep":   {"sleeps until %s", "спит до %s"},
	"what.retry":    {"attempt %d of %d failed, next %s: %s", "попытка %d из %d не удалась, следующая в %s: %s"},
	"what.running":  {"for %s", "уже %s"},
	"what.nothing":  {"nothing to do", "делать нечего"},
	"what.unknown":  {"what it did is not stored", "что сделано, не сохранено"},
	"what.shadow":   {"shadow", "тень"},
	"outcome.wrote": {"wrote something", "что-то записано"}, "outcome.nothing": {"nothing to do", "делать нечего"}, "outcome.retrying": {"failed, is tried again", "сбой, повторится"},
	"outcome.done": {"done", "готово"}, "outcome.skipped": {"its condition was false", "условие не выполнено"}, "outcome.stopped": {"ended by a stop step", "закончен шагом stop"},
	"outcome.deleted": {"the entity is deleted", "объект удалён"}, "outcome.gone": {"the entity does not exist", "объекта нет"}, "outcome.removed": {"the entity is deleted", "объект удалён"},

	"runs.heading":   {"%s, %s, %s", "%s, %s, %s"},
	"runs.cause":     {"Runs that failed: %s", "Запуски со сбоем: %s"},
	"runs.none":      {"No run matches", "Таких запусков нет"},
	"runs.filtered":  {"Runs that the filter selects", "Запуски по условию"},
	"runs.view":      {"View", "Вид"},
	"runs.list":      {"One by one", "По одному"},
	"runs.causes":    {"Failures by cause", "Сбои по причинам"},
	"runs.events":    {"Events without a run", "События без запуска"},
	"search.back":    {"Searched back to %s.", "Просмотрено до %s."},
	"search.further": {"Search further", "Искать дальше"},
	"pager.older":    {"Older", "Раньше"},

	"runs.empty":      {"No run is stored yet: the first event of a portal that a rule matches starts one.", "Запусков ещё нет: первый начнёт событие портала, подходящее правилу."},
	"runs.days":       {"By day", "По дням"},
	"days.heading":    {"What runs did, by day", "Что сделали запуски по дням"},
	"days.help":       {"A run counts on the day of its first event. Without other times these are the last seven days, and at most 31.", "Запуск относится к дню первого события. Без других условий это последние семь дней, самое большее 31."},
	"days.since":      {"Counted since %s: there was no time for what is older.", "Подсчитано с %s: на более старое не хватило времени."},
	"days.old":        {"What %s did is not known: an older version has finished them and did not store it.", "Что сделано, неизвестно: %s завершила старая версия и не сохранила этого."},
	"outcome.missing": {"Runs that an older version has finished have no outcome, so this filter does not find them.", "У запусков, которые завершила старая версия, нет итога: это условие их не находит."},

	"causes.heading":      {"%s: %s", "%s: %s"},
	"causes.none":         {"No run has stopped", "Остановленных запусков нет"},
	"causes.help":         {"Each group is one thing to fix. Replay runs each entity again with the rule and the data of now; what is already done is not done twice.", "Каждая группа — одна неисправность. Повтор выполняет правило заново с текущими данными; сделанное не делается дважды."},
	"causes.replay":       {"Replay %d…", "Повторить %d…"},
	"causes.list":         {"Show", "Показать"},
	"causes.acknowledge":  {"Acknowledge", "Принято"},
	"causes.acknowledged": {"Acknowledged causes raise no alert until they come from another portal or rule: %d.", "Принятые причины не тревожат, пока не придут с другого портала или правила: %d."},
	"causes.show":         {"Show them", "Показать их"},
	"causes.known":        {"acknowledged by %s, %s", "принял(а) %s, %s"},

	"cause.refused": {"the portal refuses %s: %s", "портал отклоняет %s: %s"}, "cause.refused.plain": {"the portal refuses %s", "портал отклоняет %s"},
	"cause.portal": {"the portal is %s", "портал: %s"}, "cause.answer": {"the portal's answer to %s has an unknown form", "ответ портала на %s непонятен"},
	"cause.outside": {"another system answers %s with status %s", "другая система отвечает на %s: статус %s"}, "cause.formula": {"a value of %s cannot be computed", "значение в %s не вычисляется"},
	"cause.limit": {"the limit %s stops %s", "предел %s останавливает %s"}, "cause.cycle": {"rules start each other without an end", "правила запускают друг друга без конца"},
	"cause.missing": {"%s names a field that the portal does not have", "%s называет поле, которого нет на портале"}, "cause.doubling": {"%s would make again what another rule has made", "%s заново создаст то, что уже создало другое правило"}, "cause.kept": {"the portal does not keep a value that %s writes", "портал не сохраняет значение, которое пишет %s"},
	"cause.stopped": {"%s stops the run", "%s останавливает запуск"}, "cause.no-rule": {"rule %s is not among the rules", "правила %s нет среди правил"}, "cause.gone": {"the portal is not in the configuration", "портала нет в конфигурации"},
	"cause.timeout": {"%s takes longer than its timeout", "%s не укладывается в срок"}, "cause.other": {"%s fails", "сбой в %s"}, "cause.unknown": {"unknown cause", "причина неизвестна"},

	"confirm.heading": {"Replay %s?", "Повторить %s?"},
	"confirm.none":    {"No run is left to replay", "Повторять нечего"},
	"confirm.changed": {"Nothing was replayed: the number of runs has changed since you saw it. Look again.", "Ничего не повторено: число запусков изменилось. Посмотрите ещё раз."},
	"confirm.newest":  {"Newest run", "Последний запуск"},
	"confirm.again":   {"Does again", "Сделает снова"},
	"confirm.nothing": {"nothing that is already done: each run compares the current state and writes only differences", "ничего из сделанного: запуск сравнивает и пишет только отличия"},
	"confirm.button":  {"Replay %d", "Повторить %d"},
	"confirm.back":    {"Back", "Назад"},
	"confirm.count":   {"If the number has changed by the time you press, nothing happens and you are asked again.", "Если число изменится до нажатия, ничего не произойдёт и вас спросят снова."},

	"run.parked.step":    {"Run %d stopped at step %d: %s", "Запуск %d остановился на шаге %d: %s"},
	"run.parked":         {"Run %d stopped: %s", "Запуск %d остановился: %s"},
	"run.wrote":          {"Run %d is done: %s", "Запуск %d выполнен: %s"},
	"run.ended":          {"Run %d did nothing: %s", "Запуск %d ничего не сделал: %s"},
	"run.nothing":        {"Run %d is done: there was nothing to do", "Запуск %d выполнен: делать было нечего"},
	"run.retrying":       {"Run %d failed and is tried again: %s", "Запуск %d не удался и повторится: %s"},
	"run.state":          {"Run %d is %s", "Запуск %d: %s"},
	"run.unknown":        {"Run %d is done: what it did is not stored", "Запуск %d выполнен: что сделано, не сохранено"},
	"run.formula":        {"a value cannot be computed: %s", "значение не вычисляется: %s"},
	"run.waits":          {"Run %d waits: %s", "Запуск %d ждёт: %s"},
	"run.waits.paused":   {"Run %d waits: somebody has paused it", "Запуск %d ждёт: поставлен на паузу"},
	"run.waits.held":     {"Run %d waits: its portal or rule has a fault", "Запуск %d ждёт: неисправен портал или правило"},
	"run.sleeps":         {"Run %d sleeps until %s", "Запуск %d спит до %s"},
	"run.tries.none":     {"no attempt yet", "попыток ещё не было"},
	"run.for":            {"%s for %s of %s", "%s для %s, портал %s"},
	"run.version":        {"version %s", "версия %s"},
	"run.tries":          {"attempt %d of %d", "попытка %d из %d"},
	"run.others":         {"all runs of the entity", "все запуски объекта"},
	"run.replay":         {"Replay", "Повторить"},
	"run.plan":           {"Plan it now", "План сейчас"},
	"run.discard":        {"Discard…", "Отменить…"},
	"run.discard.help":   {"The run stays in the history and can be replayed.", "Запуск останется в истории, его можно повторить."},
	"run.discard.button": {"Discard it", "Отменить запуск"},
	"run.joined":         {"Run %d joined this one, run %d.", "Запуск %d присоединился к этому, %d."},
	"run.helps":          {"What helps:", "Что поможет:"},
	"run.replayall":      {"replay all", "повторить все"},
	"run.later.good":     {"Run %d of the same rule and entity succeeded later, with a newer state. Nothing is left to do.", "Запуск %d того же правила и объекта удался позже. Делать ничего не нужно."},
	"run.later.other":    {"Run %d of the same rule and entity is newer.", "Запуск %d того же правила и объекта новее."},
	"run.attempts":       {"Attempts", "Попытки"},
	"run.attempt":        {"Attempt %d", "Попытка %d"},
	"attempt.succeeded":  {"succeeded", "выполнена"}, "attempt.failed": {"failed", "сбой"}, "attempt.postponed": {"postponed", "отложена"}, "attempt.interrupted": {"interrupted", "прервана"}, "attempt.parked": {"failed for good", "сбой, повтора не будет"}, "attempt.discarded": {"discarded", "отменена"},
	"run.event":         {"event %d", "событие %d"},
	"run.condition":     {"The rule's condition is false:", "Условие правила не выполнено:"},
	"run.before":        {"Read before the first step", "Прочитано до первого шага"},
	"run.skipped":       {"not run: %s", "не выполнен: %s"},
	"run.skipped.when":  {"its condition is false", "условие не выполнено"},
	"run.failed":        {"failed", "сбой"},
	"run.line":          {"line %d", "строка %d"},
	"run.details":       {"Details", "Подробности"},
	"run.row":           {"row %d", "строка %d"},
	"run.note":          {"note", "заметка"},
	"run.result":        {"result", "результат"},
	"run.write":         {"REST, write", "REST, запись"},
	"run.batch":         {"in a batch of %d", "в пакете из %d"},
	"run.answer":        {"What was answered", "Что ответил портал"},
	"run.cut":           {"a part is missing", "часть не сохранена"},
	"run.recordcut":     {"The record is cut: history.record in the configuration limits its size.", "Запись обрезана: её размер ограничивает history.record."},
	"run.then":          {"then", "затем"},
	"run.inputs":        {"Inputs of this portal", "Параметры портала"},
	"end.parked":        {"no next attempt is planned; a later event of %s starts a new run", "повтора не будет; следующее событие %s начнёт новый запуск"},
	"end.discarded":     {"it can be replayed", "его можно повторить"},
	"end.done":          {"%s after the first event", "через %s после первого события"},
	"act.joined":        {"joined by run %d at %s", "присоединился запуск %d, %s"},
	"act.replayed":      {"replayed at %s by %s", "повторил(а) %[2]s, %[1]s"},
	"act.discarded":     {"discarded at %s by %s", "отменил(а) %[2]s, %[1]s"},
	"refused.state":     {"Nothing was done: somebody was faster, the run is %s.", "Ничего не сделано: кто-то успел раньше, запуск: %s."},
	"term.true":         {"%s is true", "%s — верно"},
	"term.false":        {"%s is false", "%s — неверно"},
	"term.unread.true":  {"%s was not looked at; it is true", "%s не проверялось; верно"},
	"term.unread.false": {"%s was not looked at; it is false too", "%s не проверялось; тоже неверно"},
	"diff.all":          {"all of it", "всё целиком"},
	"diff.same":         {"the same values again", "те же значения"},

	"events.heading":      {"Events that the portals sent", "События порталов"},
	"events.heading.none": {"Events that met no rule", "События, которым не нашлось правила"},
	"events.none":         {"No event matches", "Таких событий нет"},
	"events.help":         {"An event that meets no rule is stored and costs nothing. Look here when something should have happened and did not.", "Событие без правила сохраняется и ничего не стоит. Смотрите сюда, если что-то должно было произойти и не произошло."},
	"events.empty":        {"No event is stored yet: its portal has sent none, or the address of its outbound webhook is another one.", "Событий ещё нет: портал ничего не прислал, или адрес исходящего вебхука другой."},
	"events.norule":       {"no rule", "без правила"},
	"events.arule":        {"a rule", "с правилом"},
	"events.waits":        {"waits for a rule set that has errors", "ждёт набора правил с ошибкой"},
	"event.met":           {"%s met rules: %s", "%s встретило правила: %s"},
	"event.waits":         {"%s waits for a rule set that does not run", "%s ждёт набора правил, который не работает"},
	"event.norule":        {"%s met no rule", "%s не встретило правила"},
	"event.received":      {"Received", "Получено"},
	"event.sent":          {"sent", "отправлено"},
	"event.decided":       {"Decided by the rules as they were at that moment.", "Решали правила, какими они были тогда."},
	"event.plan":          {"Plan %s now", "План для %s сейчас"},
	"event.missing":       {"It waits for: %s", "Ждёт: %s"},
	"event.runs":          {"Its runs", "Его запуски"},
	"event.nowhy":         {"An older version has stored this event without the reason.", "Событие сохранила старая версия, без причины."},
	"event.each":          {"Each rule, and why not", "Каждое правило, и почему нет"},
	"event.data":          {"What the portal sent", "Что прислал портал"},
	"event.others":        {"Earlier %s of this portal", "Более ранние %s этого портала"},

	"why.heading":       {"Why has a field its value?", "Почему у поля такое значение?"},
	"why.help":          {"Name an element, an item or an entity; then you see which rule has written it, in which run.", "Назовите элемент или объект: увидите, какое правило его записало и в каком запуске."},
	"why.limits":        {"What call and set_products wrote is not known.", "Что записали call и set_products, неизвестно."},
	"why.of":            {"Element, item or entity", "Элемент или объект"},
	"why.field":         {"Field", "Поле"},
	"why.button":        {"Why", "Почему"},
	"why.unknown":       {"No rule is known to have written %s", "Ни одно правило не писало %s"},
	"why.source":        {"Rules have read %s and written other records", "Правила читали %s и писали другие записи"},
	"why.unknown.field": {"No rule is known to have written %s of %s", "Ни одно правило не писало %s в %s"},
	"why.value":         {"%s was written by %s at %s", "%s записало %s, %s"},
	"why.written":       {"%s was written by %s at %s", "%s: записало %s, %s"},
	"why.writers":       {"Writers of %s", "Кто писал %s"},
	"why.changes":       {"Changes, the latest first", "Изменения, сначала последние"},
	"why.others":        {"not only us", "не только мы"},
	"why.others.help":   {"The run found another value than the change before had left: a person or another program wrote it in between.", "Запуск нашёл не то значение, что осталось после прошлого изменения: между ними писал человек или другая программа."},
	"why.kept":          {"As far as history has the runs: history.succeeded in the configuration says how long.", "Пока запуски есть в истории: срок задаёт history.succeeded."},
	"why.made":          {"Made from %s", "Сделано из %s"},
	"why.record":        {"Record", "Запись"},
	"why.run":           {"run %d", "запуск %d"},
	"why.orphan":        {"no rule has it any more", "правила больше нет"},
	"why.gone":          {"history no longer has the run", "запуска уже нет в истории"},

	"plan.heading":   {"What would happen now?", "Что произошло бы сейчас?"},
	"plan.help":      {"A plan reads the portal and writes nothing.", "План читает портал и ничего не пишет."},
	"plan.read":      {"Read from the portal just now. Nothing was written.", "Прочитано с портала только что. Ничего не записано."},
	"plan.role":      {"Only an operator can plan, because a plan reads the portal.", "План доступен только оператору: он читает портал."},
	"plan.records":   {"You do not see the data of records, and a plan shows it.", "Вам не видны данные записей, а план их показывает."},
	"plan.elsewhere": {"This process works no portals.", "Этот процесс не работает с порталами."},
	"plan.busy":      {"Your other plan is not finished. Wait for it.", "Ваш другой план ещё не готов. Подождите."},
	"plan.failed":    {"The plan failed: %s", "План не удался: %s"},
	"plan.norule":    {"No rule of the portal has an event of %s.", "Ни у одного правила портала нет события для %s."},
	"plan.done":      {"For %s: %s", "Для %s: %s"},
	"plan.add":       {"%d to add", "добавить: %d"}, "plan.change": {"%d to change", "изменить: %d"}, "plan.delete": {"%d to delete", "удалить: %d"}, "plan.call": {"%d to call", "вызвать: %d"}, "plan.outside": {"%d elsewhere", "в других системах: %d"},
	"plan.done.disk": {"On disk, for %s: %s", "На диске, для %s: %s"},
	"plan.fail":      {"the run would fail", "запуск не удался бы"},
	"plan.failing":   {"the run of %s would fail", "запуск %s не удался бы"},
	"plan.version":   {"Version", "Версия"}, "plan.live": {"live", "работает"}, "plan.disk": {"on disk", "на диске"},
	"plan.version.wrong": {"%q: want live or disk", "%q: нужно live или disk"},
	"plan.refused":       {"Of the files on disk, this would not run:", "Из файлов на диске не заработало бы:"},
	"plan.disk.same":     {"These are the versions that run now.", "Это версии, которые работают сейчас."},
	"plan.disk.help":     {"These rules do not run yet, so there is nothing to run here. Read the files again first:", "Эти правила ещё не работают, выполнять нечего. Сначала прочитайте файлы снова:"},
	"plan.nothing":       {"nothing to change", "менять нечего"},
	"plan.all":           {"all that subscribe", "все подходящие"},
	"plan.button":        {"Plan", "План"},
	"plan.run":           {"Run: %s", "Выполнить: %s"},
	"plan.changed":       {"Nothing was run: the plan is another one now. This is the new one.", "Ничего не выполнено: план изменился. Вот новый."},
	"plan.fails":         {"The run would fail:", "Запуск не удался бы:"},
	"plan.digest":        {"Run plans again and continues only if the result is this one (%s).", "Перед выполнением план строится снова; если он другой (не %s), вас спросят."},

	"rules.fine": {"%s, live as on disk", "%s, работают как на диске"}, "rules.broken": {"%d of %s does not run as on disk", "Не работают как на диске: %d из %s"},
	"rules.help":    {"Live is what runs. A file with errors changes nothing: its last good version continues to run.", "«Работает» — это то, что выполняется. Файл с ошибками ничего не меняет: работает последняя верная версия."},
	"rules.none":    {"No rule set runs in a portal.", "Ни на одном портале нет наборов правил."},
	"rules.same":    {"the same", "то же"},
	"rules.diff":    {"%s: disk against live", "%s: диск и то, что работает"},
	"rules.between": {"− live, + on disk", "− работает, + на диске"},
	"rules.read":    {"Read again", "Прочитать снова"}, "rules.findings": {"What is wrong on disk", "Что не так на диске"},
	"set.live": {"live", "работает"}, "set.outdated": {"broken on disk", "ошибка на диске"}, "set.broken": {"does not run", "не работает"}, "set.missing": {"missing on disk", "нет на диске"}, "set.waiting": {"waits for apply", "ждёт apply"}, "set.behind": {"not read yet", "ещё не прочитан"}, "set.mixed": {"several versions", "разные версии"},
	"rule.cost": {"commands for an event that changes something: %s", "команд на событие с изменением: %s"},
	"rule.days": {"Last seven days", "Последние семь дней"}, "rule.runs": {"Its runs", "Его запуски"}, "rule.part": {"Part", "Часть"}, "rule.exists": {"When it exists", "Пока объект есть"}, "rule.deleted": {"When it is deleted", "Когда удалён"}, "rule.source": {"Source", "Файл"},
	"flow.starts": {"Starts it", "Запускает"}, "flow.steps": {"Steps", "Шаги"}, "flow.writes": {"Writes", "Пишет"}, "flow.about": {"about %s", "о %s"}, "flow.quiet": {"quiet for %s, at most %s", "тихо %s, не дольше %s"}, "flow.instead": {"if it fails:", "при сбое:"},
	"step.for_each": {"for each of %s", "для каждого из %s"}, "step.when": {"only when %s", "только если %s"}, "step.entered": {"when %s becomes true", "когда станет верно: %s"}, "step.at": {"at %s", "в %s"}, "step.once": {"once for each %s", "один раз для %s"},

	"audit.heading":     {"What people and programs did", "Что сделали люди и программы"},
	"audit.help":        {"From the console, the command line and with tokens. Kept for 400 days; nothing here can be changed.", "Из консоли, командной строки и по токенам. Хранится 400 дней, изменить нельзя."},
	"audit.none":        {"No entry matches.", "Ничего нет."},
	"did.replayed.word": {"replayed", "повтор"}, "did.discarded.word": {"discarded", "отмена"}, "did.paused.word": {"paused", "пауза"}, "did.resumed.word": {"resumed", "продолжение"}, "did.ran.word": {"ran", "выполнение"},
	"did.planned.word": {"planned", "план"}, "did.applied.word": {"applied", "применение"}, "did.pruned.word": {"pruned", "очистка"}, "did.released.word": {"released", "оставлено"}, "did.reloaded.word": {"read again", "перечитано"}, "did.acknowledged.word": {"acknowledged", "принято"}, "did.signed in.word": {"signed in", "вход"}, "did.signed out.word": {"signed out", "выход"}, "did.sign-in refused.word": {"sign-in refused", "вход отклонён"},
	"did.paused": {"Paused: no run starts until you resume. Events are stored.", "Пауза: запуски не начинаются. События сохраняются."}, "did.resumed": {"Resumed: the waiting runs start.", "Продолжено: ждавшие запуски начинаются."}, "did.probed": {"The portal is asked now.", "Портал спрашивается сейчас."},
	"did.acknowledged": {"Acknowledged: no alert until it comes from another portal or rule.", "Принято: тревоги не будет, пока причина не придёт с другого портала или правила."}, "did.read": {"Configuration and rules were read again.", "Конфигурация и правила прочитаны снова."}, "did.started": {"The runs are stored and start now.", "Запуски сохранены и начинаются."},

	"keys.heading": {"Keys", "Клавиши"}, "keys.help": {"All of them are links and buttons too. They do nothing while you type.", "Всё это есть и в ссылках и кнопках. Пока вы печатаете, клавиши не действуют."},
	"keys.on": {"Turn single keys on", "Включить клавиши"}, "keys.off": {"Turn single keys off", "Выключить клавиши"}, "keys.anywhere": {"Anywhere", "Везде"}, "keys.filter": {"The page's filter", "Поиск на странице"}, "keys.this": {"This page", "Эта страница"},
	"keys.item": {"In one of a list", "В одном из списка"}, "keys.neighbour": {"Next, previous one of the list from which you came", "Следующий, предыдущий из списка, откуда вы пришли"},
	"keys.list": {"In a list", "В списке"}, "keys.rows": {"Next, previous row", "Следующая, предыдущая строка"}, "keys.open": {"Open it", "Открыть"}, "keys.older": {"Older page", "Более ранние"}, "keys.run": {"In a run", "В запуске"}, "keys.error": {"Go to the error", "К ошибке"}, "keys.details": {"Open or close all details", "Открыть или закрыть подробности"},

	"login.title": {"Sign in", "Вход"}, "login.name": {"Name", "Имя"}, "login.password": {"Password", "Пароль"}, "login.button": {"Sign in", "Войти"},
	"login.next": {"You continue to %s.", "Дальше: %s."}, "login.kept": {"What you sent is kept.", "Отправленное сохранено."},
	"login.wrong": {"That name and password do not go together. In the next 15 minutes %s.", "Имя и пароль не подходят. На 15 минут %s."},
	"login.wait":  {"Too many tries. Wait %s.", "Слишком много попыток. Подождите %s."},
	"again.title": {"Send it again?", "Отправить снова?"}, "again.help": {"Your session had ended when you sent this. You are signed in again, and nothing was lost.", "Сеанс закончился до отправки. Вы снова вошли, ничего не потеряно."},
	"again.button": {"Send it", "Отправить"}, "again.not": {"Do not send it", "Не отправлять"},

	"problem.page":          {"There is no page %s", "Нет страницы %s"},
	"problem.method":        {"%s does not fit %s", "%s не подходит для %s"},
	"problem.origin":        {"This form was sent from another site and was refused", "Форма пришла с другого сайта и отклонена"},
	"problem.login":         {"Sign in first", "Сначала войдите"},
	"problem.role":          {"Your role does not allow this", "Ваша роль этого не позволяет"},
	"problem.role.help":     {"An operator can do it.", "Это может оператор."},
	"problem.form":          {"The form cannot be read", "Форму не удалось прочитать"},
	"problem.filter":        {"%s", "%s"},
	"problem.run":           {"There is no run %s", "Нет запуска %s"},
	"problem.run.help":      {"History may have deleted it: history in the configuration says how long runs are kept.", "Возможно, история его удалила: срок задаёт history в конфигурации."},
	"problem.event":         {"There is no event %s", "Нет события %s"},
	"problem.event.help":    {"History may have deleted it: history in the configuration says how long events are kept.", "Возможно, история его удалила: срок задаёт history в конфигурации."},
	"problem.attempt":       {"The run has no attempt %s", "У запуска нет попытки %s"},
	"problem.portal":        {"There is no portal %s", "Нет портала %s"},
	"problem.rule":          {"There is no rule %s", "Нет правила %s"},
	"problem.there":         {"There are", "Есть"},
	"problem.database":      {"The database cannot be read now", "База данных сейчас не читается"},
	"problem.database.help": {"Nothing is lost: events that are answered with 200 are stored. The log says what is wrong.", "Ничего не потеряно: события с ответом 200 сохранены. Подробности в логе."},
	"problem.live":          {"Too many pages are open to be live", "Открыто слишком много страниц"},
	"problem.reload":        {"serve is not running", "serve не запущен"},
	"problem.chosen":        {"Which runs? Choose a cause, a portal or a rule", "Какие запуски? Выберите причину, портал или правило"},

	"span.ms": {"%s ms", "%s мс"}, "span.s": {"%s s", "%s с"}, "span.min": {"%s min", "%s мин"}, "span.h": {"%s h", "%s ч"}, "span.d": {"%s d", "%s д"},
}
