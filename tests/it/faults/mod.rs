//! What goes wrong around the program, and what becomes of the documents then.

mod oversized;
mod process;
mod receiver;
