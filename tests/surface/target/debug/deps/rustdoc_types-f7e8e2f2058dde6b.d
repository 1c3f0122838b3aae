/work/main/tests/surface/target/debug/deps/rustdoc_types-f7e8e2f2058dde6b.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/rustdoc-types-0.59.0/src/lib.rs

/work/main/tests/surface/target/debug/deps/librustdoc_types-f7e8e2f2058dde6b.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/rustdoc-types-0.59.0/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/rustdoc-types-0.59.0/src/lib.rs:
