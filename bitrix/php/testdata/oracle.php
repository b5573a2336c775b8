<?php
// Answers php_oracle_test.go. Each line of the input is a word and a value in
// base64, each line of the output an answer in base64: "build" makes the query
// of a serialized array, "parse" serializes the array that a query makes.
while (($line = fgets(STDIN)) !== false) {
    [$what, $text] = explode(' ', rtrim($line, "\n"), 2);
    $text = base64_decode($text);
    if ($what === 'build') {
        $answer = http_build_query(unserialize($text));
    } else {
        parse_str($text, $array);
        $answer = serialize($array);
    }
    echo base64_encode($answer), "\n";
}
