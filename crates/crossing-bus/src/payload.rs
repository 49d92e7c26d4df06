//! What a topic may carry: plain data of one type, or bytes.

use crossing_sync::Plain;

mod sealed {
    pub trait Sealed {}
    impl Sealed for [u8] {}
    impl<T: super::Plain> Sealed for T {}
}

/// What a topic may carry: `[u8]`, or a type of [`Plain`] data.
pub trait Payload: sealed::Sealed {
    /// Bytes of each; `u32::MAX`: any number.
    #[doc(hidden)]
    const SIZE: u32;
    #[doc(hidden)]
    const ALIGN: u32;
    #[doc(hidden)]
    fn bytes(&self) -> &[u8];
    /// What a message is; `None` if its length or place is wrong.
    #[doc(hidden)]
    fn of_body(body: &crossing_ring::broadcast::Body) -> Option<&Self>;
    /// What a loan is; as above.
    #[doc(hidden)]
    fn of_loan(loan: &crossing_ring::broadcast::Loan) -> Option<&Self>;
    /// What a loan is; as above.
    #[doc(hidden)]
    fn of_loan_mut(loan: &mut crossing_ring::broadcast::Loan) -> Option<&mut Self>;
}

impl<T: Plain> Payload for T {
    const SIZE: u32 = {
        assert!(size_of::<T>() < u32::MAX as usize);
        size_of::<T>() as u32
    };
    const ALIGN: u32 = align_of::<T>() as u32;

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    #[inline]
    fn of_body(body: &crossing_ring::broadcast::Body) -> Option<&Self> {
        body.value()
    }

    #[inline]
    fn of_loan(loan: &crossing_ring::broadcast::Loan) -> Option<&Self> {
        loan.value()
    }

    #[inline]
    fn of_loan_mut(loan: &mut crossing_ring::broadcast::Loan) -> Option<&mut Self> {
        loan.value_mut()
    }
}

impl Payload for [u8] {
    const SIZE: u32 = u32::MAX;
    const ALIGN: u32 = 1;

    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline]
    fn of_body(body: &crossing_ring::broadcast::Body) -> Option<&Self> {
        Some(body)
    }

    #[inline]
    fn of_loan(loan: &crossing_ring::broadcast::Loan) -> Option<&Self> {
        Some(loan)
    }

    #[inline]
    fn of_loan_mut(loan: &mut crossing_ring::broadcast::Loan) -> Option<&mut Self> {
        Some(loan)
    }
}
