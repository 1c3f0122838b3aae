/work/main/tests/surface/target/debug/deps/rpc_surface-1cdfb050acf3b629.d: src/main.rs

/work/main/tests/surface/target/debug/deps/librpc_surface-1cdfb050acf3b629.rmeta: src/main.rs

src/main.rs:

# env-dep:CARGO_MANIFEST_DIR=/work/main/tests/surface
