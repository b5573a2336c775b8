<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = $_POST['event'] === 'ONCRMDEALDELETE' ? null : call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
$companies = array_unique(array_filter([remembered("company-$id"), $deal['companyId'] ?? 0]));
foreach ($companies as $company) {
    $won = all('crm.item.list', ['entityTypeId' => 2, 'filter' => ['companyId' => $company, 'stageSemanticId' => 'S'], 'select' => ['id', 'opportunity']], 'items');
    call('crm.item.update', ['entityTypeId' => 4, 'id' => $company, 'fields' => [
        'ufCrm_WON_SUM' => round(array_sum(array_column($won, 'opportunity')), 2), 'ufCrm_WON_COUNT' => count($won),
    ]]);
}
remember("company-$id", $deal['companyId'] ?? 0);
