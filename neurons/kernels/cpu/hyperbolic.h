// tanh of vectors, to the last bit or two.
//
// Close to 0 it is x + x³ R(x²); the coefficients are those of the Cephes library (S. Moshier).
#pragma once

#include "vector.h"

namespace {

INLINE Vec<float> cubic_part(Vec<float> square) {
    Vec<float> R = fill(-5.70498872745e-3f);
    R = R * square + 2.06390887954e-2f;
    R = R * square - 5.37397155531e-2f;
    R = R * square + 1.33314422036e-1f;
    return R * square - 3.33332819422e-1f;
}
INLINE Vec<double> cubic_part(Vec<double> square) {
    Vec<double> P = fill(-9.64399179425052238628e-1);
    P = P * square - 9.92877231001918586564e1;
    P = P * square - 1.61468768441708447952e3;
    Vec<double> Q = square + 1.12811678491632931402e2;
    Q = Q * square + 2.23548839060100448583e3;
    Q = Q * square + 4.84406305325125486048e3;
    return P / Q;
}

template <class T> INLINE Vec<T> hyperbolic_tangent(Vec<T> x) {
    const Mask<T> negative = x < Vec<T>{};
    const Vec<T> size = select<T>(negative, -x, x), square = x * x;
    const Vec<T> e = exponential(-2 * size), far = (1 - e) / (1 + e);
    const Vec<T> near = x + x * square * cubic_part(square);
    return select<T>(size < T(0.625), near, select<T>(negative, -far, far));
}

}  // namespace
