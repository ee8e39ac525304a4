//! The families of operators, one file each.
//!
//! A new operator needs a variant in one of them and a line in each of its functions. The tests of gradients compare
//! its rule with finite differences.

mod activation;
mod blocked;
mod conv;
mod elementwise;
mod linear;
mod moves;
mod norm;
mod pool;
mod quantization;
mod reduce;
mod reshaping;
mod softmax;

use super::attributes::Spelling;
use super::gradient::{Arriving, Backward, Parts, no_rule};
use super::op::{Family, Inputs, Named, WeightKind};
use super::value::{
    Dim, Fact, ValueId, as_ints, broadcast, lens as fixed_lens, product, wrap, wrap_all,
};
use super::window::{Sliding, WindowGeometry};
use super::{GraphError, Op};

pub use activation::Activation;
#[cfg(test)]
pub(super) use blocked::mask as mask_of_blocked;
pub use blocked::{BLOCKED, Blocked, Fused, block_size};
pub use conv::{Conv, ConvTranspose};
pub use elementwise::Elementwise;
pub use linear::{Gemm, Linear};

pub use moves::{Moves, PadMode};
pub use norm::Norm;
pub use pool::{GlobalPool, Pool, PoolKind};
pub use quantization::Quantization;
pub use reduce::{Reduce, ReduceKind};
pub use reshaping::Reshaping;
pub use softmax::Softmax;
