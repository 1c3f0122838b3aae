#![no_main]
//! Two connections, and a link that loses, doubles, reorders and makes up messages.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_fuzz::any_schedule_keeps_the_books(bytes));
