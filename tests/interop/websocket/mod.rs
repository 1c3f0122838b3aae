//! WebSockets with peers in Python.

mod aiorpcx;
