//! Values that most sessions never need: they take no memory until they are changed for the first
//! time.

use std::ops::{Deref, DerefMut};

/// A value that is made when it is changed for the first time, and looks empty until then.
#[derive(Debug)]
pub(crate) struct OnDemand<T>(Option<Box<T>>);

/// A value that an [`OnDemand`] can stand for before it is made.
pub(crate) trait Empty: Default + 'static {
    fn empty() -> &'static Self;
}

impl<T> Default for OnDemand<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> OnDemand<T> {
    /// The value, if it was made.
    #[inline]
    pub(crate) fn made(&self) -> Option<&T> {
        self.0.as_deref()
    }

    /// The value, if it was made. Where it was not, there is nothing in it that could be changed.
    pub(crate) fn if_made(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Empty> Deref for OnDemand<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(made) => made,
            None => T::empty(),
        }
    }
}

impl<T: Empty> DerefMut for OnDemand<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
