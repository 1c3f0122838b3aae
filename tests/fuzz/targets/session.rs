#![no_main]
//! Any lines, to a session and to a dispatcher.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_fuzz::a_session_answers_as_a_dispatcher_does(bytes));
