#![no_main]
//! Any bytes, to one who speaks `Protocol::V1`.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_fuzz::any_bytes_are_a_message(rpc::Protocol::V1, bytes));
