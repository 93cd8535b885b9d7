//! In: a trace. Out: text for a terminal.

mod describe;
mod exceptions;
mod line;
mod render;
mod timeline;
