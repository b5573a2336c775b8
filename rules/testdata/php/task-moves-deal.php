<?php
require __DIR__ . '/lib.php';
event();
$id = (int) $_POST['data']['FIELDS_AFTER']['ID'];
$task = call('tasks.task.get', ['taskId' => $id, 'select' => ['ID', 'STATUS', 'UF_CRM_TASK']])['task'];
if ($task['status'] != 5) {
    exit;
}
foreach ($task['ufCrmTask'] ?: [] as $link) {
    if (!str_starts_with($link, 'D_')) {
        continue;
    }
    $deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => (int) substr($link, 2)])['item'];
    if ($deal['stageId'] === 'EXECUTING') {
        call('crm.item.update', ['entityTypeId' => 2, 'id' => $deal['id'], 'fields' => ['stageId' => 'FINAL_INVOICE']]);
    }
}
