#![no_main]
//! The bytes of a peer, to a session and to `tungstenite`; and the two in conversation.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rpc_fuzz::a_websocket_does_as_tungstenite(bytes));
