<?php
require __DIR__ . '/lib.php';
const DAYS = 5;
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
if (!$deal['begindate'] || remembered("begin-$id") === $deal['begindate']) {
    exit;
}
$calendar = call('calendar.settings.get');
$names = ['SU', 'MO', 'TU', 'WE', 'TH', 'FR', 'SA'];
$free = explode(',', $calendar['year_holidays']);
$day = new DateTime(substr($deal['begindate'], 0, 10));
for ($left = DAYS; $left > 0;) {
    $day->modify('+1 day');
    $weekend = in_array($names[$day->format('w')], $calendar['week_holidays'], true);
    if (!$weekend && !in_array($day->format('j.m'), $free, true)) {
        $left--;
    }
}
call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['closedate' => $day->format('Y-m-d')]]);
remember("begin-$id", $deal['begindate']);
