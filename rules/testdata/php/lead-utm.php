<?php
require __DIR__ . '/lib.php';
$id = event();
$lead = call('crm.item.get', ['entityTypeId' => 1, 'id' => $id])['item'];
if (!preg_match('~https?://\S+~u', $lead['sourceDescription'] ?? '', $m)) {
    exit;
}
parse_str(parse_url($m[0], PHP_URL_QUERY) ?? '', $marks);
if (!isset($marks['utm_source'])) {
    exit;
}
$fields = [];
foreach (['utm_source' => 'utmSource', 'utm_medium' => 'utmMedium', 'utm_campaign' => 'utmCampaign', 'utm_content' => 'utmContent', 'utm_term' => 'utmTerm'] as $mark => $name) {
    if (isset($marks[$mark]) && $lead[$name] !== $marks[$mark]) {
        $fields[$name] = $marks[$mark];
    }
}
if ($fields) {
    call('crm.item.update', ['entityTypeId' => 1, 'id' => $id, 'fields' => $fields]);
}
