<?php
require __DIR__ . '/lib.php';
// started by cron every hour
$day = date('Y-m-d', strtotime('+30 days'));
$contracts = all('crm.item.list', ['entityTypeId' => 1090, 'filter' => ['<=ufCrm9End' => $day, '>=ufCrm9End' => date('Y-m-d')]], 'items');
foreach ($contracts as $c) {
    if (date('G') >= 9 && remembered('end-' . $c['id']) !== $c['ufCrm9End']) {
        call('im.notify.system.add', ['USER_ID' => $c['assignedById'], 'MESSAGE' => $c['title'] . ' ends in 30 days', 'TAG' => 'end-' . $c['id']]);
        remember('end-' . $c['id'], $c['ufCrm9End']);
    }
}
