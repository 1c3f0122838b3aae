#![no_main]
//! A schedule for a session over a WebSocket, and a model of it.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_fuzz::a_websocket_does_as_its_model(bytes));
