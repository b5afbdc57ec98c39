#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| locals_runtime::fuzzing::origin(data));
