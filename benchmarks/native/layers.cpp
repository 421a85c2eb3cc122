// Gradients by hand of what BLAS and LAPACK carry, and of the heat stencil.
#include "common.h"

template <class T> static void mlp(void** in, void** out, const i64* size) {
    const T *R w1 = array<T>(in, 0), *R b1 = array<T>(in, 1), *R w2 = array<T>(in, 2), *R b2 = array<T>(in, 3);
    const T *R x = array<T>(in, 4), *R onehot = array<T>(in, 5);
    T *R g1 = array<T>(out, 1), *R gb1 = array<T>(out, 2), *R g2 = array<T>(out, 3), *R gb2 = array<T>(out, 4);
    const int n = size[0], d = size[1], h = size[2], c = size[3];
    SCRATCH(T, hidden, n * h);
    SCRATCH(T, z, n * c);
    SCRATCH(T, back, n * h);
    for (i64 i = 0; i < n; i++) std::memcpy(hidden + i * h, b1, h * sizeof(T));
    matmul(false, false, n, h, d, x, w1, T(1), hidden);
#pragma omp simd
    for (i64 i = 0; i < i64(n) * h; i++) hidden[i] = std::max(hidden[i], T(0));
    for (i64 i = 0; i < n; i++) std::memcpy(z + i * c, b2, c * sizeof(T));
    matmul(false, false, n, c, h, hidden, w2, T(1), z);
    double total = 0;
    for (i64 j = 0; j < c; j++) gb2[j] = 0;
    for (i64 i = 0; i < n; i++) {
        T* R row = z + i * c;
        const T* R label = onehot + i * c;
        T m = row[0], sum = 0, chosen = 0;
        for (i64 j = 0; j < c; j++) m = std::max(m, row[j]);
        for (i64 j = 0; j < c; j++) {
            chosen += (row[j] - m) * label[j];
            row[j] = std::exp(row[j] - m);
            sum += row[j];
        }
        total += std::log(sum) - chosen;
        for (i64 j = 0; j < c; j++) {
            row[j] = (row[j] / sum - label[j]) / n;
            gb2[j] += row[j];
        }
    }
    matmul(true, false, h, c, n, hidden, z, T(0), g2);
    matmul(false, true, n, h, c, z, w2, T(0), back);
    for (i64 j = 0; j < h; j++) gb1[j] = 0;
    for (i64 i = 0; i < n; i++)
#pragma omp simd
        for (i64 j = 0; j < h; j++) {
            T v = hidden[i * h + j] > 0 ? back[i * h + j] : T(0);
            back[i * h + j] = v;
            gb1[j] += v;
        }
    matmul(true, false, d, h, n, x, back, T(0), g1);
    *array<T>(out, 0) = T(total / n);
}
EXPORT(mlp)

// One image at a time: its patches stay in the cache from the product to the gradient of the filters.
template <class T> static void convolution(void** in, void** out, const i64* size) {
    const T *R w = array<T>(in, 0), *R x = array<T>(in, 1);
    T *R gw = array<T>(out, 1), *R gx = array<T>(out, 2);
    const int batch = size[0], K = 5, O = 24, N = 28, C = 8, rows = O * O, taps = K * K;
    SCRATCH(T, patches, rows * taps);
    SCRATCH(T, z, rows * C);
    std::memset(gw, 0, taps * C * sizeof(T));
    std::memset(gx, 0, i64(batch) * N * N * sizeof(T));
    double total = 0;
    const T scale = T(2.0 / (double(batch) * rows * C));
    for (i64 b = 0; b < batch; b++) {
        const T* R image = x + b * N * N;
        for (int i = 0; i < O; i++)
            for (int j = 0; j < O; j++)
                for (int p = 0; p < K; p++)
                    for (int q = 0; q < K; q++) patches[(i * O + j) * taps + p * K + q] = image[(i + p) * N + j + q];
        matmul(false, false, rows, C, taps, patches, w, T(0), z);
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int i = 0; i < rows * C; i++) {
            T v = std::max(z[i], T(0));
            sum += v * v;
            z[i] = v * scale;
        }
        total += sum;
        matmul(true, false, taps, C, rows, patches, z, T(1), gw);
        matmul(false, true, rows, taps, C, z, w, T(0), patches);
        T* R back = gx + b * N * N;
        for (int i = 0; i < O; i++)
            for (int j = 0; j < O; j++)
                for (int p = 0; p < K; p++)
                    for (int q = 0; q < K; q++) back[(i + p) * N + j + q] += patches[(i * O + j) * taps + p * K + q];
    }
    *array<T>(out, 0) = T(total / (double(batch) * rows * C));
}
EXPORT(convolution)

static void gp(const double* R theta, const double* R x, const double* R y, double* R value, double* R g, int n) {
    const double length = std::exp(theta[0]), amplitude = std::exp(theta[1]), noise = std::exp(theta[2]);
    const double a2 = amplitude * amplitude, s2 = noise * noise, scale = 1 / (length * length);
    SCRATCH(double, k, n * n);
    SCRATCH(double, part, n * n);
    SCRATCH(double, squares, n * n);
    SCRATCH(double, b, n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double p = x[3 * i] - x[3 * j], q = x[3 * i + 1] - x[3 * j + 1], r = x[3 * i + 2] - x[3 * j + 2];
            squares[i * n + j] = (p * p + q * q + r * r) * scale;
        }
#pragma omp simd
    for (int i = 0; i < n * n; i++) part[i] = k[i] = a2 * std::exp(-squares[i] / 2);
    for (int i = 0; i < n; i++) k[i * n + i] += s2;
    int info;
    dpotrf_("L", &n, k, &n, &info);
    double logs = 0;
    for (int i = 0; i < n; i++) logs += std::log(k[i * n + i]);
    dpotri_("L", &n, k, &n, &info);  // the inverse, in Fortran's lower triangle: row i <= column j of ours
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) k[j * n + i] = k[i * n + j];
    double fit = 0;
    for (int i = 0; i < n; i++) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int j = 0; j < n; j++) sum += k[i * n + j] * y[j];
        b[i] = sum;
        fit += sum * y[i];
    }
    double by_length = 0, by_amplitude = 0, by_noise = 0;
    for (int i = 0; i < n; i++) {
        by_noise += k[i * n + i] - b[i] * b[i];
#pragma omp simd reduction(+ : by_length, by_amplitude)
        for (int j = 0; j < n; j++) {
            double t = (k[i * n + j] - b[i] * b[j]) * part[i * n + j];
            by_amplitude += t;
            by_length += t * squares[i * n + j];
        }
    }
    *value = fit / 2 + logs + n * 0.9189385332046727;
    g[0] = by_length / 2;
    g[1] = by_amplitude;
    g[2] = by_noise * s2;
}
extern "C" void gp_f64(void** in, void** out, const i64* n) {
    gp(array<double>(in, 0), array<double>(in, 1), array<double>(in, 2), array<double>(out, 0), array<double>(out, 1),
       int(n[0]));
}

// All states are kept; the cotangent of the inside is held in a frame of zeros, so that one stencil serves all points.
template <class T> static void heat(void** in, void** out, const i64* size) {
    const T* R start = array<T>(in, 0);
    const T c = *array<T>(in, 1);
    T* R g = array<T>(out, 1);
    const i64 n = size[0], steps = size[1], nn = n * n, wide = n + 2;
    SCRATCH(T, states, (steps + 1) * nn);
    SCRATCH(T, frame, wide * wide);
    std::memcpy(states, start, nn * sizeof(T));
    for (i64 t = 0; t < steps; t++) {
        const T* R u = states + t * nn;
        T* R v = states + (t + 1) * nn;
        std::memcpy(v, u, n * sizeof(T));
        for (i64 i = 1; i < n - 1; i++) {
            v[i * n] = u[i * n];
#pragma omp simd
            for (i64 j = 1; j < n - 1; j++) {
                const T* p = u + i * n + j;
                v[i * n + j] = p[0] + c * (p[-n] + p[n] + p[-1] + p[1] - 4 * p[0]);
            }
            v[i * n + n - 1] = u[i * n + n - 1];
        }
        std::memcpy(v + nn - n, u + nn - n, n * sizeof(T));
    }
    const T* R last = states + steps * nn;
    T value = 0;
#pragma omp simd reduction(+ : value)
    for (i64 i = 0; i < nn; i++) {
        value += last[i] * last[i];
        g[i] = last[i];
    }
    std::fill(frame, frame + wide * wide, T(0));
    double by_c = 0;
    for (i64 t = steps - 1; t >= 0; t--) {
        const T* R u = states + t * nn;
        T sum = 0;
        for (i64 i = 1; i < n - 1; i++)
#pragma omp simd reduction(+ : sum)
            for (i64 j = 1; j < n - 1; j++) {
                const T* p = u + i * n + j;
                frame[(i + 1) * wide + j + 1] = g[i * n + j];
                sum += g[i * n + j] * (p[-n] + p[n] + p[-1] + p[1] - 4 * p[0]);
            }
        by_c += sum;
        for (i64 i = 0; i < n; i++)
#pragma omp simd
            for (i64 j = 0; j < n; j++) {
                const T* p = frame + (i + 1) * wide + j + 1;
                g[i * n + j] += c * (p[-wide] + p[wide] + p[-1] + p[1] - 4 * p[0]);
            }
    }
    *array<T>(out, 0) = value / 2;
    *array<T>(out, 2) = T(by_c);
}
EXPORT(heat)
