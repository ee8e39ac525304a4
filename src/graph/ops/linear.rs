//! Matrix products.

use super::{
    Arriving, Backward, Dim, Fact, Family, GraphError, Inputs, Named, Parts, Spelling, ValueId,
    WeightKind, broadcast,
};

/// ONNX Runtime's matrix product processes this many columns at a time.
const COLUMNS_AT_ONCE: usize = 128;

/// A product of matrices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Linear {
    /// Of matrices, or of batches of them.
    MatMul,
    /// `alpha · op(a) · op(b) + beta · c`.
    Gemm(Gemm),
}

/// How a `Gemm` multiplies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    /// Whether the first matrix is transposed.
    pub trans_a: bool,
    /// Whether the second matrix is transposed.
    pub trans_b: bool,
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of the added matrix.
    pub beta: f32,
}

impl Linear {
    /// `a · b + c`.
    pub const GEMM: Self = Self::gemm(false, false);
    /// `a · bᵀ + c`.
    pub const BY_TRANSPOSE: Self = Self::gemm(false, true);
    /// `aᵀ · b + c`.
    pub const TRANSPOSE_BY: Self = Self::gemm(true, false);

    /// As a `Gemm`; a product of matrices is one without an added matrix.
    #[must_use]
    pub fn as_gemm(self) -> Gemm {
        match self {
            Self::Gemm(gemm) => gemm,
            Self::MatMul => Gemm {
                trans_a: false,
                trans_b: false,
                alpha: 1.0,
                beta: 1.0,
            },
        }
    }

    const fn gemm(trans_a: bool, trans_b: bool) -> Self {
        Self::Gemm(Gemm {
            trans_a,
            trans_b,
            alpha: 1.0,
            beta: 1.0,
        })
    }
}

impl Named for Linear {
    fn of_name(op_type: &str) -> Option<Self> {
        match op_type {
            "MatMul" => Some(Self::MatMul),
            "Gemm" => Some(Self::GEMM),
            _ => None,
        }
    }
}

impl Family for Linear {
    fn op_type(&self) -> &str {
        match self {
            Self::MatMul => "MatMul",
            Self::Gemm(_) => "Gemm",
        }
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        if let Self::Gemm(gemm) = self {
            spelling.float("alpha", &mut gemm.alpha, 1.0);
            spelling.float("beta", &mut gemm.beta, 1.0);
            spelling.flag("transA", &mut gemm.trans_a, false);
            spelling.flag("transB", &mut gemm.trans_b, false);
        }
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        vec![inputs.like(0, self.shape(inputs))]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn macs_per_output(&self, inputs: &Inputs<'_>) -> Option<usize> {
        let [.., rows, columns] = inputs.shape(1)? else {
            return None;
        };
        match self {
            Self::Gemm(Gemm { trans_b: true, .. }) => columns.fixed(),
            _ => rows.fixed(),
        }
    }

    fn weights(&self, _: &Inputs<'_>) -> Vec<(usize, WeightKind)> {
        let mut weights = vec![(1, WeightKind::DenseLayer)];
        if matches!(self, Self::Gemm(_)) {
            weights.push((2, WeightKind::Bias));
        }
        weights
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        match self {
            Self::MatMul => of_matmul(b, at),
            Self::Gemm(gemm) => of_gemm(*gemm, b, at),
        }
    }
}

impl Linear {
    fn shape(self, inputs: &Inputs<'_>) -> Option<Vec<Dim>> {
        match (self, inputs.shape(0)?, inputs.shape(1)?) {
            (Self::MatMul, [a_batch @ .., rows, _], [b_batch @ .., _, columns]) => {
                let mut shape = broadcast(a_batch, b_batch)?;
                shape.extend([rows.clone(), columns.clone()]);
                Some(shape)
            }
            (Self::Gemm(gemm), [a0, a1], [b0, b1]) => {
                let rows = if gemm.trans_a { a1 } else { a0 };
                let columns = if gemm.trans_b { b0 } else { b1 };
                Some(vec![rows.clone(), columns.clone()])
            }
            _ => None,
        }
    }
}

/// `alpha · op(a) · op(b)` of matrices, each transposed or not, as one `Gemm`.
fn product(
    b: &mut Backward<'_>,
    (mut left, mut trans_a): (ValueId, bool),
    right: (ValueId, bool),
    alpha: f32,
) -> ValueId {
    if trans_a && let Some(transposed) = transposed_once(b, left, right) {
        (left, trans_a) = (transposed, false);
    }
    let gemm = Gemm {
        trans_a,
        trans_b: right.1,
        alpha,
        beta: 1.0,
    };
    b.op(Linear::Gemm(gemm), &[left, right.0])
}

/// The transpose of a matrix that is multiplied with a wide one. Transposed by the product, it would be transposed
/// again for every [`COLUMNS_AT_ONCE`] columns.
fn transposed_once(b: &mut Backward<'_>, left: ValueId, right: (ValueId, bool)) -> Option<ValueId> {
    let columns = *b.lens(right.0)?.get(usize::from(!right.1))?;
    let [height, width] = *b.lens(left)? else {
        return None;
    };
    if columns < 2 * COLUMNS_AT_ONCE {
        return None;
    }
    // In three dimensions: ONNX Runtime would fuse a two-dimensional transpose into the product again.
    let (height, width) = (height as i64, width as i64);
    let flat = b.reshape(left, &[1, height, width]);
    let transposed = b.transpose(flat, &[0, 2, 1]);
    Some(b.reshape(transposed, &[width, height]))
}

/// Swaps the last two dimensions.
fn transposed(b: &mut Backward<'_>, value: ValueId) -> Result<ValueId, GraphError> {
    let rank = b.rank(value)? as i64;
    let perm: Vec<i64> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
    Ok(b.transpose(value, &perm))
}

/// `y = a · b`: `da = dy · bᵀ`, `db = aᵀ · dy`, summed over broadcast batch dimensions. One-dimensional operands have
/// no rule.
fn of_matmul(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, left, right) = (at.dy()?, at.input(0)?, at.input(1)?);
    let ranks = (b.rank(left)?, b.rank(right)?);
    if ranks.0 < 2 || ranks.1 < 2 {
        return Err(GraphError::Model(
            "it cannot be trained through a “MatMul” with a vector".into(),
        ));
    }
    if ranks == (2, 2) {
        let first = b.wants(at, 0);
        let first = first.then(|| product(b, (dy, false), (right, true), 1.0));
        let second = b.wants(at, 1);
        let second = second.then(|| product(b, (left, true), (dy, false), 1.0));
        return Ok(vec![first, second]);
    }
    let first = if b.wants(at, 0) {
        let right_t = transposed(b, right)?;
        let full = b.op(Linear::MatMul, &[dy, right_t]);
        Some(b.unbroadcast(full, left))
    } else {
        None
    };
    let second = if b.wants(at, 1) {
        let left_t = transposed(b, left)?;
        let full = b.op(Linear::MatMul, &[left_t, dy]);
        Some(b.unbroadcast(full, right))
    } else {
        None
    };
    Ok(vec![first, second])
}

/// Each of the four combinations of transposed operands has one product per operand; `dc = beta · dy`, summed over
/// broadcast dimensions.
fn of_gemm(gemm: Gemm, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, left, right) = (at.dy()?, at.input(0)?, at.input(1)?);
    let Gemm {
        trans_a,
        trans_b,
        alpha,
        beta,
    } = gemm;
    let first = b.wants(at, 0).then(|| {
        if trans_a {
            product(b, (right, trans_b), (dy, true), alpha)
        } else {
            product(b, (dy, false), (right, !trans_b), alpha)
        }
    });
    let second = b.wants(at, 1).then(|| {
        if trans_b {
            product(b, (dy, true), (left, trans_a), alpha)
        } else {
            product(b, (left, !trans_a), (dy, false), alpha)
        }
    });
    let third = if b.wants(at, 2) {
        let summed = b.unbroadcast(dy, at.input(2)?);
        // A factor of 1 is stored exactly.
        #[allow(clippy::float_cmp, reason = "an exact default, not a computed value")]
        let plain = beta == 1.0;
        Some(if plain {
            summed
        } else {
            let beta = b.number(f64::from(beta));
            b.mul(summed, beta)
        })
    } else {
        None
    };
    Ok(vec![first, second, third])
}
