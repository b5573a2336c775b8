<?php
// Answers php_oracle_test.go. Each line of the input is a word and a value in
// base64, each line of the output an answer in base64: "build" makes the query
// of a serialized array, "parse" serializes the array that a query makes,
// "encode" and "decode" do the same with JSON.
while (($line = fgets(STDIN)) !== false) {
    [$what, $text] = explode(' ', rtrim($line, "\n"), 2);
    $text = base64_decode($text);
    switch ($what) {
        case 'build':
            $answer = http_build_query(unserialize($text));
            break;
        case 'parse':
            parse_str($text, $array);
            $answer = serialize($array);
            break;
        case 'encode':
            $answer = json_encode(unserialize($text), JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
            break;
        case 'decode':
            $answer = serialize(json_decode($text, true, 512, JSON_THROW_ON_ERROR));
            break;
    }
    echo base64_encode($answer), "\n";
}
