//! The order of the classes in a confusion matrix.

use super::Confusion;

/// The criterion for ordering the classes of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatrixOrder {
    /// The order in the project.
    #[default]
    Project,
    /// By name.
    Name,
    /// The class with most frames first.
    Size,
    /// The class with the lowest recall first.
    Accuracy,
    /// Classes that are often confused are next to each other.
    Similar,
}

impl MatrixOrder {
    /// All orders, as they are offered.
    pub const ALL: [Self; 5] = [
        Self::Project,
        Self::Name,
        Self::Size,
        Self::Accuracy,
        Self::Similar,
    ];

    /// The indices of the classes in this order.
    #[must_use]
    pub fn indices(self, classes: &[String], confusion: &Confusion) -> Vec<usize> {
        let mut order: Vec<usize> = (0..classes.len()).collect();
        match self {
            Self::Project => {}
            Self::Name => order.sort_by_key(|class| {
                let name = classes.get(*class).map_or("", String::as_str);
                (name.to_lowercase(), name)
            }),
            Self::Size => {
                order.sort_by_key(|class| std::cmp::Reverse(confusion.support(*class)));
            }
            Self::Accuracy => order.sort_by(|a, b| {
                // Classes without frames last.
                let recall = |class: &usize| confusion.recall(*class).unwrap_or(2.0);
                recall(a).total_cmp(&recall(b))
            }),
            Self::Similar => return similar(confusion),
        }
        order
    }
}

/// Average linkage clustering (UPGMA) of the classes by how often they are confused, with its leaves ordered so that
/// the more similar ends meet at each join.
///
/// The distance of two classes is 1 − (fraction of a classified as b + fraction of b classified as a) / 2. Clusters
/// are joined along nearest-neighbour chains (J.-P. Benzécri 1982), which for average linkage gives the same tree as
/// always joining the nearest pair, in O(classes²).
fn similar(confusion: &Confusion) -> Vec<usize> {
    let count = confusion.counts.len();
    let part = |truth: usize, called: usize| {
        let row = confusion.counts.get(truth);
        let cell = row.and_then(|row| row.get(called)).copied().unwrap_or(0);
        cell as f64 / confusion.support(truth).max(1) as f64
    };
    let pair = |a: usize, b: usize| 1.0 - 0.5 * (part(a, b) + part(b, a));
    let rows = (0..count).map(|a| (0..count).map(|b| pair(a, b)).collect());
    let between_classes: Vec<Vec<f64>> = rows.collect();
    let apart = |a: usize, b: usize| at(&between_classes, a, b);
    let mut between = between_classes.clone();
    let mut clusters: Vec<Option<Vec<usize>>> = (0..count).map(|class| Some(vec![class])).collect();
    let mut chain: Vec<usize> = Vec::new();
    loop {
        let there: Vec<usize> = (0..count)
            .filter(|of| matches!(clusters.get(*of), Some(Some(_))))
            .collect();
        let [first, _, ..] = there.as_slice() else {
            break;
        };
        let top = *chain.last().unwrap_or(first);
        if chain.is_empty() {
            chain.push(top);
        }
        let before = chain.len().checked_sub(2).and_then(|at| chain.get(at));
        let others = there.iter().copied().filter(|other| *other != top);
        let Some(nearest) = others.min_by(|a, b| {
            // Of equally near ones the previous one in the chain, otherwise the chain would never end.
            let is_other = |of: usize| before != Some(&of);
            at(&between, top, *a)
                .total_cmp(&at(&between, top, *b))
                .then(is_other(*a).cmp(&is_other(*b)))
        }) else {
            break;
        };
        if before != Some(&nearest) {
            chain.push(nearest);
            continue;
        }
        chain.truncate(chain.len() - 2);
        let (keep, gone) = (top.min(nearest), top.max(nearest));
        let taken = [keep, gone].map(|of| clusters.get_mut(of).and_then(Option::take));
        let [Some(left), Some(right)] = taken else {
            break;
        };
        let sizes = [left.len() as f64, right.len() as f64];
        for other in there {
            let joined = (sizes[0] * at(&between, keep, other)
                + sizes[1] * at(&between, gone, other))
                / (sizes[0] + sizes[1]);
            for (row, column) in [(keep, other), (other, keep)] {
                if let Some(cell) = between.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = joined;
                }
            }
        }
        if let Some(slot) = clusters.get_mut(keep) {
            *slot = Some(joined(left, right, apart));
        }
    }
    clusters.into_iter().flatten().flatten().collect()
}

fn at(table: &[Vec<f64>], row: usize, column: usize) -> f64 {
    let row = table.get(row);
    row.and_then(|row| row.get(column)).copied().unwrap_or(1.0)
}

/// Joins two rows of classes, each possibly reversed, so that the most similar ends meet.
fn joined(left: Vec<usize>, right: Vec<usize>, apart: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let meet = |a: Option<&usize>, b: Option<&usize>| match (a, b) {
        (Some(a), Some(b)) => apart(*a, *b),
        _ => 1.0,
    };
    let ways = [
        (false, false, meet(left.last(), right.first())),
        (false, true, meet(left.last(), right.last())),
        (true, false, meet(left.first(), right.first())),
        (true, true, meet(left.first(), right.last())),
    ];
    let best = ways.into_iter().min_by(|a, b| a.2.total_cmp(&b.2));
    let (reverse_left, reverse_right, _) = best.unwrap_or((false, false, 1.0));
    let reversed = |mut row: Vec<usize>, reverse: bool| {
        if reverse {
            row.reverse();
        }
        row
    };
    let mut row = reversed(left, reverse_left);
    row.extend(reversed(right, reverse_right));
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn classes_are_sorted_by_name_size_and_accuracy() {
        let confusion = Confusion {
            counts: vec![
                vec![1, 1, 0, 0],
                vec![0, 5, 0, 0],
                vec![0, 1, 2, 0],
                vec![0, 0, 0, 0],
            ],
        };
        let classes = names(&["b", "A", "c", "d"]);
        let order = |by: MatrixOrder| by.indices(&classes, &confusion);
        assert_eq!(order(MatrixOrder::Project), [0, 1, 2, 3]);
        assert_eq!(order(MatrixOrder::Name), [1, 0, 2, 3]);
        assert_eq!(order(MatrixOrder::Size), [1, 2, 0, 3]);
        assert_eq!(order(MatrixOrder::Accuracy), [0, 2, 1, 3]);
    }

    /// Classes 0 and 3 are confused, and so are 1 and 4, and slightly 4 and 2.
    #[test]
    fn classes_that_are_taken_for_each_other_are_neighbours() {
        let confusion = Confusion {
            counts: vec![
                vec![6, 0, 0, 4, 0],
                vec![0, 7, 0, 0, 3],
                vec![0, 0, 8, 0, 2],
                vec![4, 0, 0, 6, 0],
                vec![0, 3, 1, 0, 6],
            ],
        };
        let order = MatrixOrder::Similar.indices(&names(&["a", "b", "c", "d", "e"]), &confusion);
        let place = |class: usize| order.iter().position(|of| *of == class);
        let apart = |a: usize, b: usize| place(a).zip(place(b)).map(|(a, b)| a.abs_diff(b));
        assert_eq!(apart(0, 3), Some(1), "{order:?}");
        assert_eq!(apart(1, 4), Some(1), "{order:?}");
        assert_eq!(apart(4, 2), Some(1), "{order:?}");
    }

    #[test]
    fn every_class_is_there_once_whatever_the_matrix() {
        for (classes, modulus) in [(0, 1), (1, 1), (2, 3), (60, 7), (60, 1)] {
            let mut confusion = Confusion::new(classes);
            for truth in 0..classes {
                for called in 0..classes {
                    for _ in 0..(truth * 31 + called * 17) % modulus {
                        confusion.add(truth, called);
                    }
                }
            }
            let labels: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
            let mut order = MatrixOrder::Similar.indices(&labels, &confusion);
            order.sort_unstable();
            assert_eq!(order, (0..classes).collect::<Vec<_>>());
        }
    }
}
