<?php
require __DIR__ . '/lib.php';
$id = event();
$deal = call('crm.item.get', ['entityTypeId' => 2, 'id' => $id])['item'];
if (!$deal['leadId']) {
    exit;
}
$lead = call('crm.item.get', ['entityTypeId' => 1, 'id' => $deal['leadId']])['item'];
$fields = [];
foreach (['sourceId', 'sourceDescription', 'utmSource', 'utmMedium', 'utmCampaign', 'utmContent', 'utmTerm'] as $name) {
    $fields[$name] = $lead[$name];
}
call('crm.item.update', ['entityTypeId' => 2, 'id' => $id, 'fields' => $fields]);
