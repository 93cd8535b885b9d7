//! What threads share: the standard library's, or loom's where the models are checked (`.ci/loom`).

#[cfg(not(all(test, loom)))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread_local,
};

#[cfg(all(test, loom))]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};

/// loom's does not know `const`.
#[cfg(all(test, loom))]
macro_rules! without_const {
    (static $name:ident: $type:ty = const $init:block;) => {
        ::loom::thread_local!(static $name: $type = $init);
    };
}

#[cfg(all(test, loom))]
pub(crate) use without_const as thread_local;
