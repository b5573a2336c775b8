<?php
require __DIR__ . '/lib.php';
const WORK = 1072;
$id = event();
if ((int) $_POST['data']['FIELDS']['ENTITY_TYPE_ID'] !== WORK) {
    exit;
}
$deleted = $_POST['event'] === 'ONCRMDYNAMICITEMDELETE';
$parent = $deleted ? 0 : call('crm.item.get', ['entityTypeId' => WORK, 'id' => $id])['item']['parentId2'];
foreach (array_unique(array_filter([remembered("work-$id"), $parent])) as $of) {
    $deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $of])['item'];
    $children = all('crm.item.list', ['entityTypeId' => WORK, 'filter' => ['parentId2' => $of], 'select' => ['stageId']], 'items');
    $open = array_filter($children, fn ($c) => !str_ends_with($c['stageId'], ':SUCCESS'));
    if ($deal['stageId'] === 'EXECUTING' && $children && !$open) {
        call('crm.item.update', ['entityTypeId' => 2, 'id' => $of, 'fields' => ['stageId' => 'FINAL_INVOICE']]);
    }
}
remember("work-$id", $parent);
