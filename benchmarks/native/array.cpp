// Gradients by hand of the array programs: fused loops, a block at a time where a value is needed twice.
#include "common.h"

template <class T> static void tiny(void** in, void** out, const i64* n) {
    const T* R x = array<T>(in, 0);
    T* R g = array<T>(out, 1);
    T y = 0;
#pragma omp simd reduction(+ : y)
    for (i64 i = 0; i < n[0]; i++) {
        y += x[i] * x[i];
        g[i] = 4 * x[i];
    }
    *array<T>(out, 0) = 2 * y;
}
EXPORT(tiny)

// Rows in blocks that stay in the first cache: products, then all sigmoids of the block, then the gradient.
template <class T> static void logistic(void** in, void** out, const i64* size) {
    const T *R w = array<T>(in, 0), *R x = array<T>(in, 1), *R label = array<T>(in, 2);
    T* R g = array<T>(out, 1);
    const i64 n = size[0], d = size[1], B = 64;
    double total = 0;
    T z[B], r[B];
    SCRATCH(T, sums, d);
    for (i64 j = 0; j < d; j++) sums[j] = g[j] = 0;
    for (i64 start = 0; start < n; start += B) {
        const i64 m = std::min(B, n - start);
        for (i64 i = 0; i < m; i++) {
            const T* R row = x + (start + i) * d;
            T sum = 0;
#pragma omp simd reduction(+ : sum)
            for (i64 j = 0; j < d; j++) sum += row[j] * w[j];
            z[i] = sum;
        }
        T loss = 0;
#pragma omp simd reduction(+ : loss)
        for (i64 i = 0; i < m; i++) {
            T e = std::exp(-std::abs(z[i]));
            T q = 1 / (1 + e);
            loss += std::max(z[i], T(0)) + std::log1p(e) - label[start + i] * z[i];
            r[i] = (z[i] >= 0 ? q : e * q) - label[start + i];
        }
        total += loss;
        i64 i = 0;
        for (; i + 4 <= m; i += 4) {
            const T* R row = x + (start + i) * d;
#pragma omp simd
            for (i64 j = 0; j < d; j++)
                sums[j] += r[i] * row[j] + r[i + 1] * row[d + j] + r[i + 2] * row[2 * d + j] + r[i + 3] * row[3 * d + j];
        }
        for (; i < m; i++)
#pragma omp simd
            for (i64 j = 0; j < d; j++) sums[j] += r[i] * x[(start + i) * d + j];
    }
    for (i64 j = 0; j < d; j++) g[j] = sums[j] / n;
    *array<T>(out, 0) = T(total / n);
}
EXPORT(logistic)

template <class T> static void rosenbrock(void** in, void** out, const i64* size) {
    const T* R x = array<T>(in, 0);
    T* R g = array<T>(out, 1);
    const i64 n = size[0];
    double total = 0;
    {
        T t = x[1] - x[0] * x[0], u = 1 - x[0];
        total += 100 * t * t + u * u;
        g[0] = -400 * x[0] * t - 2 * u;
    }
    for (i64 start = 1; start < n - 1; start += 4096) {
        const i64 end = std::min(start + 4096, n - 1);
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (i64 i = start; i < end; i++) {
            T t = x[i + 1] - x[i] * x[i], u = 1 - x[i];
            sum += 100 * t * t + u * u;
            g[i] = -400 * x[i] * t - 2 * u + 200 * (x[i] - x[i - 1] * x[i - 1]);
        }
        total += sum;
    }
    g[n - 1] = 200 * (x[n - 1] - x[n - 2] * x[n - 2]);
    *array<T>(out, 0) = T(total);
}
EXPORT(rosenbrock)

template <class T> static void rosenbrock_hessian(void** in, void** out, const i64* size) {
    const T* R x = array<T>(in, 0);
    T* R h = array<T>(out, 0);
    const i64 n = size[0];
    std::memset(h, 0, n * n * sizeof(T));
    for (i64 i = 0; i < n; i++) {
        if (i < n - 1) {
            h[i * n + i] = 1200 * x[i] * x[i] - 400 * x[i + 1] + 2;
            h[i * n + i + 1] = h[(i + 1) * n + i] = -400 * x[i];
        }
        if (i) h[i * n + i] += 200;
    }
}
EXPORT(rosenbrock_hessian)

template <class T> static void rosenbrock_hvp(void** in, void** out, const i64* size) {
    const T *R x = array<T>(in, 0), *R v = array<T>(in, 1);
    T* R y = array<T>(out, 0);
    const i64 n = size[0];
    y[0] = (1200 * x[0] * x[0] - 400 * x[1] + 2) * v[0] - 400 * x[0] * v[1];
#pragma omp simd
    for (i64 i = 1; i < n - 1; i++)
        y[i] = (1200 * x[i] * x[i] - 400 * x[i + 1] + 202) * v[i] - 400 * (x[i] * v[i + 1] + x[i - 1] * v[i - 1]);
    y[n - 1] = 200 * v[n - 1] - 400 * x[n - 2] * v[n - 2];
}
EXPORT(rosenbrock_hvp)

template <class T> static void logsumexp(void** in, void** out, const i64* size) {
    const T* R x = array<T>(in, 0);
    T* R g = array<T>(out, 1);
    const i64 n = size[0];
    T m = x[0];
#pragma omp simd reduction(max : m)
    for (i64 i = 0; i < n; i++) m = std::max(m, x[i]);
    double total = 0;
    for (i64 start = 0; start < n; start += 4096) {
        const i64 end = std::min(start + 4096, n);
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (i64 i = start; i < end; i++) {
            T e = std::exp(x[i] - m);
            g[i] = e;
            sum += e;
        }
        total += sum;
    }
    const T scale = T(1 / total);
#pragma omp simd
    for (i64 i = 0; i < n; i++) g[i] *= scale;
    *array<T>(out, 0) = T(m + std::log(total));
}
EXPORT(logsumexp)

template <class T> static void softmax(void** in, void** out, const i64* size) {
    const T *R x = array<T>(in, 0), *R w = array<T>(in, 1);
    T* R g = array<T>(out, 1);
    const i64 n = size[0], d = size[1];
    double total = 0;
    for (i64 i = 0; i < n; i++) {
        const T *R row = x + i * d, *R weight = w + i * d;
        T* R p = g + i * d;
        T m = row[0], sum = 0, dot = 0;
#pragma omp simd reduction(max : m)
        for (i64 j = 0; j < d; j++) m = std::max(m, row[j]);
#pragma omp simd reduction(+ : sum, dot)
        for (i64 j = 0; j < d; j++) {
            T e = std::exp(row[j] - m);
            p[j] = e;
            sum += e;
            dot += e * weight[j];
        }
        const T scale = 1 / sum, s = dot * scale;
        total += s;
#pragma omp simd
        for (i64 j = 0; j < d; j++) p[j] = p[j] * scale * (weight[j] - s);
    }
    *array<T>(out, 0) = T(total);
}
EXPORT(softmax)

// Points in blocks, transposed, so that the vectors run over points whatever the number of dimensions.
template <class T> static void mixture(void** in, void** out, const i64* size) {
    const T *R alpha = array<T>(in, 0), *R mu = array<T>(in, 1), *R s = array<T>(in, 2), *R x = array<T>(in, 3);
    T *R ga = array<T>(out, 1), *R gm = array<T>(out, 2), *R gs = array<T>(out, 3);
    const i64 n = size[0], d = size[1], K = size[2], B = 64;
    SCRATCH(T, inverse, K * d);
    SCRATCH(T, base, K);
    SCRATCH(T, xt, d * B);
    SCRATCH(T, l, K * B);
    T top = alpha[0], norm = 0;
    for (i64 k = 0; k < K; k++) top = std::max(top, alpha[k]);
    for (i64 k = 0; k < K; k++) norm += std::exp(alpha[k] - top);
    norm = top + std::log(norm);
    for (i64 k = 0; k < K; k++) {
        base[k] = alpha[k] - norm;
        for (i64 j = 0; j < d; j++) {
            inverse[k * d + j] = std::exp(-s[k * d + j]);
            base[k] -= s[k * d + j];
        }
    }
    std::memset(ga, 0, K * sizeof(T));
    std::memset(gm, 0, K * d * sizeof(T));
    std::memset(gs, 0, K * d * sizeof(T));
    double total = 0;
    for (i64 start = 0; start < n; start += B) {
        const i64 m = std::min(B, n - start);
        for (i64 j = 0; j < d; j++) {
            for (i64 i = 0; i < m; i++) xt[j * B + i] = x[(start + i) * d + j];
            for (i64 i = m; i < B; i++) xt[j * B + i] = 0;
        }
        T highest[B], sum[B];
        for (i64 i = 0; i < B; i++) highest[i] = -INFINITY, sum[i] = 0;
        for (i64 k = 0; k < K; k++) {
            T q[B];
            for (i64 i = 0; i < B; i++) q[i] = 0;
            for (i64 j = 0; j < d; j++) {
                const T c = mu[k * d + j], e = inverse[k * d + j];
#pragma omp simd
                for (i64 i = 0; i < B; i++) {
                    T t = (xt[j * B + i] - c) * e;
                    q[i] += t * t;
                }
            }
#pragma omp simd
            for (i64 i = 0; i < B; i++) {
                T v = base[k] - q[i] / 2;
                l[k * B + i] = v;
                highest[i] = std::max(highest[i], v);
            }
        }
        for (i64 k = 0; k < K; k++)
#pragma omp simd
            for (i64 i = 0; i < B; i++) {
                T e = std::exp(l[k * B + i] - highest[i]);
                l[k * B + i] = e;
                sum[i] += e;
            }
        for (i64 i = 0; i < m; i++) total += highest[i] + std::log(sum[i]);
        for (i64 i = 0; i < B; i++) sum[i] = i < m ? 1 / sum[i] : 0;
        for (i64 k = 0; k < K; k++) {
            T* R r = l + k * B;
            T weight = 0;
#pragma omp simd reduction(+ : weight)
            for (i64 i = 0; i < B; i++) {
                r[i] *= sum[i];
                weight += r[i];
            }
            ga[k] += weight;
            for (i64 j = 0; j < d; j++) {
                const T c = mu[k * d + j];
                T first = 0, second = 0;
#pragma omp simd reduction(+ : first, second)
                for (i64 i = 0; i < B; i++) {
                    T t = xt[j * B + i] - c, rt = r[i] * t;
                    first += rt;
                    second += rt * t;
                }
                gm[k * d + j] += first;
                gs[k * d + j] += second;
            }
        }
    }
    for (i64 k = 0; k < K; k++) {
        for (i64 j = 0; j < d; j++) {
            const T e = inverse[k * d + j] * inverse[k * d + j];
            gm[k * d + j] *= e / n;
            gs[k * d + j] = (gs[k * d + j] * e - ga[k]) / n;
        }
        ga[k] = ga[k] / n - std::exp(alpha[k] - norm);
    }
    *array<T>(out, 0) = T(total / n);
}
EXPORT(mixture)

// cos(a) as sin(a + pi/2): otherwise g++ joins the two into a call of sincos, which it does not vectorise.
template <class T> static void chain(void** in, void** out, const i64* size) {
    const T* R x = array<T>(in, 0);
    T* R g = array<T>(out, 1);
    const i64 n = size[0];
    double total = 0;
    for (i64 start = 0; start < n; start += 1024) {
        const i64 end = std::min(start + 1024, n);
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (i64 i = start; i < end; i++) {
            T a = x[i], q = 1 + a * a;
            T e = std::exp(-a * a), s = std::sin(3 * a), c = std::sin(3 * a + T(1.5707963267948966));
            T t = std::tanh(a), l = std::log(q);
            sum += e * s + t * l;
            g[i] = e * (3 * c - 2 * a * s) + (1 - t * t) * l + 2 * a * t / q;
        }
        total += sum;
    }
    *array<T>(out, 0) = T(total);
}
EXPORT(chain)

template <class T> static void black_scholes(void** in, void** out, const i64* size) {
    const T *R spot = array<T>(in, 0), *R vol = array<T>(in, 1), *R time = array<T>(in, 2), *R strike = array<T>(in, 3);
    const T rate = *array<T>(in, 4);
    T *R delta = array<T>(out, 1), *R vega = array<T>(out, 2), *R theta = array<T>(out, 3);
    const i64 n = size[0];
    double total = 0;
    for (i64 start = 0; start < n; start += 1024) {
        const i64 end = std::min(start + 1024, n);
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (i64 i = start; i < end; i++) {
            T s = spot[i], v = vol[i], t = time[i], k = strike[i];
            T root = std::sqrt(t), vr = v * root;
            T d1 = (std::log(s / k) + (rate + v * v / 2) * t) / vr;
            T d2 = d1 - vr;
            T n1 = (1 + std::erf(d1 * T(0.7071067811865476))) / 2, n2 = (1 + std::erf(d2 * T(0.7071067811865476))) / 2;
            T density = std::exp(-d1 * d1 / 2) * T(0.3989422804014327);
            T discounted = k * std::exp(-rate * t);
            sum += s * n1 - discounted * n2;
            delta[i] = n1;
            vega[i] = s * density * root;
            theta[i] = s * density * v / (2 * root) + rate * discounted * n2;
        }
        total += sum;
    }
    *array<T>(out, 0) = T(total);
}
EXPORT(black_scholes)

template <class T> static void jacobian_layer(void** in, void** out, const i64* size) {
    const T *R x = array<T>(in, 0), *R a = array<T>(in, 1);
    T* R j = array<T>(out, 0);
    const i64 n = size[0];
    for (i64 i = 0; i < n; i++) {
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (i64 k = 0; k < n; k++) sum += a[i * n + k] * x[k];
        const T t = std::tanh(sum), scale = (1 - t * t) * std::sin(x[i]);
#pragma omp simd
        for (i64 k = 0; k < n; k++) j[i * n + k] = scale * a[i * n + k];
        j[i * n + i] += t * std::cos(x[i]);
    }
}
EXPORT(jacobian_layer)

template <class T> static void jacobian_banded(void** in, void** out, const i64* size) {
    const T* R x = array<T>(in, 0);
    T* R j = array<T>(out, 0);
    const i64 n = size[0];
    std::memset(j, 0, (n - 2) * n * sizeof(T));
    for (i64 i = 0; i < n - 2; i++) {
        const T s = std::sin(x[i + 2]), c = std::cos(x[i + 2]), b = x[i + 1];
        T* R row = j + i * n + i;
        row[0] = b * b * s;
        row[1] = 2 * x[i] * b * s;
        row[2] = x[i] * b * b * c;
    }
}
EXPORT(jacobian_banded)
