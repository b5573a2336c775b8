<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$won = $deal['stageSemanticId'] === 'S';
if ($won && !remembered("won-$id")) {
    call('tasks.task.add', ['fields' => [
        'TITLE' => 'Start the work on ' . $deal['title'], 'RESPONSIBLE_ID' => $deal['assignedById'],
        'DEADLINE' => date(DATE_ATOM, strtotime('+3 days')), 'UF_CRM_TASK' => ["D_$id"],
    ]]);
}
remember("won-$id", $won);
