//! Masks: section 5.3. They keep a page from choosing the bytes that its browser sends.

/// Puts a mask over the bytes, or takes it off.
#[inline]
pub(super) fn apply(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let mask = [a, b, c, d, a, b, c, d];
    let wide = u64::from_ne_bytes(mask);
    let (chunks, rest) = bytes.as_chunks_mut();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// One that a peer cannot foresee.
#[inline]
pub(super) fn random() -> [u8; 4] {
    rand::random::<u32>().to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_gets_its_own_byte_of_the_mask() {
        for size in 0..100 {
            let bytes: Vec<u8> = (0..size).map(|at: u8| at.wrapping_mul(37)).collect();
            let mut masked = bytes.clone();
            apply(&mut masked, [1, 20, 77, 255]);
            for (at, (byte, masked)) in bytes.iter().zip(&masked).enumerate() {
                assert_eq!(byte ^ [1, 20, 77, 255][at % 4], *masked);
            }
            apply(&mut masked, [1, 20, 77, 255]);
            assert_eq!(masked, bytes);
        }
    }
}
