//! Whether a point lies on its curve (NIST SP 800-186 §3.2.1). Slow and plain: it is done once for each key, which is no
//! secret.

/// A curve `y² = x³ - 3x + b` over the integers below a prime, both as their last digits of 64 bits, the least first.
pub(crate) struct Curve {
    prime: Number,
    b: Number,
    /// The bytes of a coordinate.
    pub(crate) size: usize,
}

type Number = [u64; 6];

pub(crate) const P256: Curve = Curve {
    prime: [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001, 0, 0],
    b: [
        0x3bce_3c3e_27d2_604b,
        0x651d_06b0_cc53_b0f6,
        0xb3eb_bd55_7698_86bc,
        0x5ac6_35d8_aa3a_93e7,
        0,
        0,
    ],
    size: 32,
};

pub(crate) const P384: Curve = Curve {
    prime: [
        0x0000_0000_ffff_ffff,
        0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_fffe,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
    ],
    b: [
        0x2a85_c8ed_d3ec_2aef,
        0xc656_398d_8a2e_d19d,
        0x0314_088f_5013_875a,
        0x181d_9c6e_fe81_4112,
        0x988e_056b_e3f8_2d19,
        0xb331_2fa7_e23e_e7e4,
    ],
    size: 48,
};

impl Curve {
    /// Whether these bytes are a point of the curve that has both its coordinates (SEC 1 §2.3.4, §3.2.2.1).
    pub(crate) fn has(&self, point: &[u8]) -> bool {
        let Some((x, y)) = point.strip_prefix(&[4]).and_then(|xy| xy.split_at_checked(self.size))
        else {
            return false;
        };
        if y.len() != self.size {
            return false;
        }
        let (x, y) = (number(x), number(y));
        let below = |number| subtract(number, self.prime).1;
        below(x) && below(y) && self.square(y) == self.right(x)
    }

    fn right(&self, x: Number) -> Number {
        let minus = |number| subtract(self.prime, number).0;
        let minus_three = minus([3, 0, 0, 0, 0, 0]);
        self.add(self.multiply(self.add(self.square(x), minus_three), x), self.b)
    }

    fn square(&self, number: Number) -> Number {
        self.multiply(number, number)
    }

    /// By doubling, from the first binary digit to the last.
    fn multiply(&self, one: Number, other: Number) -> Number {
        let digits = one.iter().rev().flat_map(|limb| (0..64).rev().map(move |n| limb >> n & 1));
        digits.fold([0; 6], |product, digit| {
            let doubled = self.add(product, product);
            if digit == 1 { self.add(doubled, other) } else { doubled }
        })
    }

    /// Of two numbers below the prime.
    fn add(&self, one: Number, other: Number) -> Number {
        let mut carry = false;
        let mut sum = one;
        for (limb, other) in sum.iter_mut().zip(other) {
            let (first, over) = limb.overflowing_add(other);
            let (second, over_again) = first.overflowing_add(u64::from(carry));
            (*limb, carry) = (second, over | over_again);
        }
        let (reduced, below) = subtract(sum, self.prime);
        if below && !carry { sum } else { reduced }
    }
}

/// What is left, and whether it is less than nothing.
fn subtract(one: Number, other: Number) -> (Number, bool) {
    let mut borrow = false;
    let mut rest = one;
    for (limb, other) in rest.iter_mut().zip(other) {
        let (first, under) = limb.overflowing_sub(other);
        let (second, under_again) = first.overflowing_sub(u64::from(borrow));
        (*limb, borrow) = (second, under | under_again);
    }
    (rest, borrow)
}

/// At most 48 bytes, the greatest first.
fn number(bytes: &[u8]) -> Number {
    let mut number = [0; 6];
    for (limb, bytes) in number.iter_mut().zip(bytes.rchunks(8)) {
        *limb = bytes.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(hex: &str) -> Vec<u8> {
        let byte = |digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap();
        [4].into_iter().chain(hex.as_bytes().chunks(2).map(byte)).collect()
    }

    // The base points (NIST SP 800-186 §3.2.1.3, §3.2.1.4), and points of a small x.
    const ON_P256: [&str; 2] = [
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        "0000000000000000000000000000000000000000000000000000000000000005459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc",
    ];
    const ON_P384: [&str; 2] = [
        "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab73617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000028cdeadbbd04911a3c1931e26df3fa6439dca9c7eb286fbd46fc319f0e2bb780232baf57825fc0c1912ada2fefe84024c",
    ];

    fn minus(curve: &Curve, point: &[u8]) -> Vec<u8> {
        let (head, y) = point.split_at(1 + curve.size);
        let (y, _) = subtract(curve.prime, number(y));
        let y = y.iter().rev().flat_map(|limb| limb.to_be_bytes()).skip(48 - curve.size);
        head.iter().copied().chain(y).collect()
    }

    #[test]
    fn a_point_is_on_its_curve_with_its_opposite_and_on_no_other() {
        for point in ON_P256.map(point) {
            assert!(P256.has(&point) && P256.has(&minus(&P256, &point)) && !P384.has(&point));
        }
        for point in ON_P384.map(point) {
            assert!(P384.has(&point) && P384.has(&minus(&P384, &point)) && !P256.has(&point));
        }
    }

    #[test]
    fn a_coordinate_has_one_spelling() {
        let mut point = point(ON_P256[1]);
        assert!(P256.has(&point));
        // The same x, and one prime more.
        let mut x = P256.prime;
        x[0] = 4; // five more than all ones
        x[1] += 1;
        let x: Vec<_> = x[..4].iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        point[1..33].copy_from_slice(&x);
        assert!(!P256.has(&point));
    }

    #[test]
    fn what_is_no_uncompressed_point_is_none() {
        let good = point(ON_P256[0]);
        let of = |first: u8| [&[first], &good[1..]].concat();
        for bad in
            [vec![], vec![4], vec![0], good[..64].to_vec(), [&good[..], &[0]].concat(), of(6)]
        {
            assert!(!P256.has(&bad), "{bad:?}");
        }
        assert!(!P256.has(&[&[4][..], &[0; 64]].concat()));
    }

    proptest! {
        #[test]
        fn a_point_is_not_on_the_curve_with_one_bit_changed(bit in 0..512_usize) {
            let mut point = point(ON_P256[0]);
            point[1 + bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!P256.has(&point));
        }

        #[test]
        fn products_are_those_of_integers(prime in 3..u64::MAX, one: u64, other: u64) {
            let curve = Curve { prime: [prime, 0, 0, 0, 0, 0], b: [0; 6], size: 8 };
            let (one, other) = (one % prime, other % prime);
            let expected = u128::from(one) * u128::from(other) % u128::from(prime);
            let product = curve.multiply([one, 0, 0, 0, 0, 0], [other, 0, 0, 0, 0, 0]);
            prop_assert_eq!(u128::from(product[0]), expected);
            prop_assert_eq!(&product[1..], &[0; 5]);
        }
    }
}
