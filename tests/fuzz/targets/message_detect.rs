#![no_main]
//! Any bytes, to one who speaks `Protocol::Detect`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_fuzz::any_bytes_are_a_message(rpc::Protocol::Detect, bytes));
