<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$before = remembered("stage-$id");
if ($before !== null && $before !== $deal['stageId']) {
    call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => ['ufCrm_STAGE_BEFORE' => $before, 'ufCrm_STAGE_TIME' => $deal['movedTime']]]);
}
remember("stage-$id", $deal['stageId']);
