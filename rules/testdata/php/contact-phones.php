<?php
require __DIR__ . '/lib.php';
$id = event();
$contact = call('crm.contact.get', ['id' => $id]);
$phones = [];
foreach ($contact['PHONE'] ?? [] as $p) {
    $digits = preg_replace('/\D/', '', $p['VALUE']);
    if (strlen($digits) === 11 && ($digits[0] === '8' || $digits[0] === '7')) {
        $phone = '+7' . substr($digits, 1);
    } elseif (strlen($digits) === 10) {
        $phone = '+7' . $digits;
    } else {
        continue;
    }
    if ($phone !== $p['VALUE']) {
        $phones[] = ['ID' => $p['ID'], 'VALUE' => $phone, 'VALUE_TYPE' => $p['VALUE_TYPE']];
    }
}
if ($phones) {
    call('crm.contact.update', ['id' => $id, 'fields' => ['PHONE' => $phones]]);
}
