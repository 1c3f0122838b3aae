#![no_main]
//! Any bytes, cut anywhere, to every framer.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_fuzz::frames_do_not_depend_on_the_cuts(bytes));
