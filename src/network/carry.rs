//! What a neuron carries into a time step, as far as it is known (integer machine, section 7).
//!
//! A membrane forgets: a quarter of it is carried on. So its last few currents mostly decide whether it spikes, and
//! exactly so, for the carry that is not known lies between two numbers that are.

use crate::layer::SpikingLayer;

/// The carry into a step is one of `low..=high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carry {
    pub(crate) low: i32,
    pub(crate) high: i32,
}

impl Carry {
    /// Into the first step.
    const REST: Carry = Carry { low: 0, high: 0 };

    /// Into any step of a neuron: what its weights, bias and threshold allow.
    ///
    /// A potential above the threshold resets the membrane, so no more than a quarter of the threshold is carried.
    /// With the least current x <= 0 no potential is below l = floor(4 x / 3) - 1: the first is at least x, and
    /// after one of at least l the next is at least (l >> 2) + x >= (l - 3) / 4 + x >= l.
    pub(crate) fn bounds(least_current: i64, threshold: i32) -> Self {
        let least = (4 * least_current.min(0)).div_euclid(3) - 1;
        // The contract's bound on currents (section 3) keeps it in 32 bits.
        Carry { low: (least >> 2) as i32, high: (threshold >> 2).max(0) }
    }

    /// Whether the neuron spikes with this current, where all carries agree.
    #[inline(always)]
    pub(crate) fn spike(self, current: i32, threshold: i32) -> Option<bool> {
        let certain = self.low + current > threshold;
        (certain || self.high + current <= threshold).then_some(certain)
    }

    /// Into the next step.
    #[inline(always)]
    fn next(self, current: i32, threshold: i32, bounds: Carry) -> Self {
        match self.spike(current, threshold) {
            Some(true) => Carry::REST,
            Some(false) => Carry { low: (self.low + current) >> 2, high: (self.high + current) >> 2 },
            // The largest carry spikes, which leaves 0, and the least does not.
            None => Carry { low: ((self.low + current) >> 2).min(0), high: bounds.high },
        }
    }

    /// Whether a neuron with these bounds spikes at `step`, below 32; `current` is asked for as few of the last steps'
    /// currents as decide it.
    #[inline(always)]
    pub(crate) fn decide(
        bounds: Carry,
        threshold: i32,
        step: usize,
        mut current: impl FnMut(usize) -> i32,
    ) -> bool {
        // The last step's first.
        let mut currents = [0; 32];
        let mut known = 0;
        loop {
            currents[known] = current(step - known);
            let mut carry = if known == step { Carry::REST } else { bounds };
            for before in (1..=known).rev() {
                carry = carry.next(currents[before], threshold, bounds);
            }
            // From the first step on there is but one carry.
            if let Some(spike) = carry.spike(currents[0], threshold) {
                return spike;
            }
            known += 1;
        }
    }
}

impl SpikingLayer {
    /// Bounds of the carry of each output's neurons.
    pub(crate) fn carry_bounds(&self) -> impl Iterator<Item = Carry> {
        let weights = self.weights.chunks(self.fan_in());
        weights.zip(&self.bias).zip(&self.threshold).map(|((weights, &bias), &threshold)| {
            let negative: i64 = weights.iter().map(|&weight| i64::from(weight.min(0))).sum();
            Carry::bounds(i64::from(bias) + negative, threshold)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Currents of small numbers, which often end exactly at the threshold, or as large as they may be.
    fn neuron() -> impl Strategy<Value = (Vec<i32>, i32)> {
        let largest = (3 << 29) - (1 << 16) - 1;
        prop_oneof![Just((6, 4)), Just((60, 9)), Just((largest, 1 << 26)), Just((largest, largest / 5))]
            .prop_flat_map(|(most, threshold)| {
                let centre = -most..=most;
                (prop::collection::vec(centre, 1..=32), 0..=threshold)
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// The way through all steps says the same, and no carry is out of bounds.
        #[test]
        fn decides_as_all_steps_do((currents, threshold) in neuron(), slack in 0..9_i64) {
            let least = i64::from(*currents.iter().min().expect("one and more"));
            let slack = slack.min(least + (3 << 29) - (1 << 16) - 1);
            let bounds = Carry::bounds(least - slack, threshold);
            let mut carry = 0;
            for (step, &current) in currents.iter().enumerate() {
                prop_assert!((bounds.low..=bounds.high).contains(&carry), "{carry}: {bounds:?}");
                let potential = carry + current;
                let spike = potential > threshold;
                let mut asked = 0;
                let found = Carry::decide(bounds, threshold, step, |at| {
                    assert_eq!(at, step - asked);
                    asked += 1;
                    currents[at]
                });
                prop_assert_eq!(found, spike, "step {}", step);
                carry = if spike { 0 } else { potential >> 2 };
            }
        }
    }

    /// A carry of a quarter of the least potential, for ever: the bound is as tight as its rounding.
    #[test]
    fn the_least_carry_is_near_its_bound() {
        for least in [-1, -2, -3, -1000, -1_000_000_007, -(3 << 29) + (1 << 16) + 1] {
            let bounds = Carry::bounds(i64::from(least), 5);
            let mut carry = 0;
            for _ in 0..100 {
                carry = (carry + least) >> 2;
            }
            assert!((bounds.low..=bounds.low + 1).contains(&carry), "{carry} {bounds:?}");
        }
    }
}
