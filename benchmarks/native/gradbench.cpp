// Gradients by hand of GradBench's workloads.
#include "common.h"

// Points in blocks of 16, transposed, so that vectors run over points forward, and over the row of Q on the way back.
extern "C" void gradbench_gmm_f64(void** in, void** out, const i64* size) {
    const double *R alpha = array<double>(in, 0), *R mu = array<double>(in, 1), *R q = array<double>(in, 2);
    const double *R l = array<double>(in, 3), *R x = array<double>(in, 4);
    double *R ga = array<double>(out, 1), *R gm = array<double>(out, 2), *R gq = array<double>(out, 3), *R gl = array<double>(out, 4);
    const i64 N = size[0], d = size[1], K = size[2], B = 16, dd = d * d, half = d * (d - 1) / 2;
    SCRATCH(double, Q, K * dd);
    SCRATCH(double, gQ, K * dd);
    SCRATCH(double, sums, K * d);  // of weight times moved point: the gradient in mu is Q^T times it
    SCRATCH(double, base, K);
    SCRATCH(double, xc, K * d * B);
    SCRATCH(double, moved, K * d * B);
    SCRATCH(double, beta, K * B);
    SCRATCH(double, row, d);
    std::fill(Q, Q + K * dd, 0.0);
    std::fill(gQ, gQ + K * dd, 0.0);
    std::fill(sums, sums + K * d, 0.0);
    double top = alpha[0], norm = 0, value = 0, penalty = 0;
    for (i64 k = 0; k < K; k++) top = std::max(top, alpha[k]);
    for (i64 k = 0; k < K; k++) norm += std::exp(alpha[k] - top);
    norm = top + std::log(norm);
    for (i64 k = 0; k < K; k++) {
        base[k] = alpha[k];
        ga[k] = 0;
        i64 place = k * half;
        for (i64 j = 0; j < d; j++) {
            const double e = std::exp(q[k * d + j]);
            base[k] += q[k * d + j];
            Q[k * dd + j * d + j] = e;
            penalty += e * e;
            for (i64 i = j + 1; i < d; i++, place++) {
                Q[k * dd + i * d + j] = l[place];
                penalty += l[place] * l[place];
            }
        }
    }
    for (i64 start = 0; start < N; start += B) {
        const i64 m = std::min(B, N - start);
        double highest[B], total[B];
        for (i64 p = 0; p < B; p++) highest[p] = -INFINITY, total[p] = 0;
        for (i64 k = 0; k < K; k++) {
            double* R c = xc + k * d * B;
            double square[B];
            for (i64 p = 0; p < B; p++) square[p] = 0;
            for (i64 j = 0; j < d; j++)
                for (i64 p = 0; p < B; p++) c[j * B + p] = p < m ? x[(start + p) * d + j] - mu[k * d + j] : 0;
            for (i64 i = 0; i < d; i++) {
                double sum[B];
                for (i64 p = 0; p < B; p++) sum[p] = 0;
                for (i64 j = 0; j <= i; j++) {
                    const double e = Q[k * dd + i * d + j];
#pragma omp simd
                    for (i64 p = 0; p < B; p++) sum[p] += e * c[j * B + p];
                }
#pragma omp simd
                for (i64 p = 0; p < B; p++) {
                    moved[(k * d + i) * B + p] = sum[p];
                    square[p] += sum[p] * sum[p];
                }
            }
#pragma omp simd
            for (i64 p = 0; p < B; p++) {
                const double v = base[k] - 0.5 * square[p];
                beta[k * B + p] = v;
                highest[p] = std::max(highest[p], v);
            }
        }
        for (i64 k = 0; k < K; k++)
#pragma omp simd
            for (i64 p = 0; p < B; p++) {
                const double e = std::exp(beta[k * B + p] - highest[p]);
                beta[k * B + p] = e;
                total[p] += e;
            }
        for (i64 p = 0; p < m; p++) value += highest[p] + std::log(total[p]);
        for (i64 p = 0; p < B; p++) total[p] = p < m ? 1 / total[p] : 0;
        for (i64 k = 0; k < K; k++) {
            const double* R c = xc + k * d * B;
            double r[B], weight = 0;
            for (i64 p = 0; p < B; p++) {
                r[p] = beta[k * B + p] * total[p];
                weight += r[p];
            }
            ga[k] += weight;
            for (i64 i = 0; i < d; i++) {
                double* R v = moved + (k * d + i) * B;
                double sum = 0;
#pragma omp simd reduction(+ : sum)
                for (i64 p = 0; p < B; p++) {
                    v[p] *= r[p];
                    sum += v[p];
                }
                sums[k * d + i] += sum;
                double* R g = gQ + k * dd + i * d;
                for (i64 j = 0; j <= i; j++) {
                    double dot = 0;
#pragma omp simd reduction(+ : dot)
                    for (i64 p = 0; p < B; p++) dot += v[p] * c[j * B + p];
                    g[j] -= dot;
                }
            }
        }
    }
    for (i64 k = 0; k < K; k++) {
        for (i64 j = 0; j < d; j++) gm[k * d + j] = 0;
        for (i64 i = 0; i < d; i++)
            for (i64 j = 0; j <= i; j++) gm[k * d + j] += Q[k * dd + i * d + j] * sums[k * d + i];
        i64 place = k * half;
        for (i64 j = 0; j < d; j++) {
            const double e = Q[k * dd + j * d + j];
            gq[k * d + j] = gQ[k * dd + j * d + j] * e + ga[k] - e * e;
            for (i64 i = j + 1; i < d; i++, place++) gl[place] = gQ[k * dd + i * d + j] - l[place];
        }
        ga[k] -= N * std::exp(alpha[k] - norm);
    }
    const double log2pi = 1.8378770664093453, n = d + 1;
    double gamma = 0.25 * d * (d - 1) * 1.1447298858494002;
    for (i64 j = 1; j <= d; j++) gamma += std::lgamma(0.5 * (n + 1 - j));
    *array<double>(out, 0) = value - N * norm - 0.5 * penalty + K * (-0.5 * n * d * 0.6931471805599453 - gamma) - 0.5 * N * d * log2pi;
}

// One observation: the projection and its 2 x 15 derivatives. With u = R(r) y, du/dy = R, du/dC = -R.
extern "C" void gradbench_ba_f64(void** in, void** out, const i64* size) {
    const double *R cameras = array<double>(in, 0), *R points = array<double>(in, 1), *R ws = array<double>(in, 2), *R features = array<double>(in, 3);
    const i64 *R ci = array<i64>(in, 4), *R pi = array<i64>(in, 5);
    double *R jacobian = array<double>(out, 0), *R weights = array<double>(out, 1);
    for (i64 o = 0; o < size[2]; o++) {
        const double *cam = cameras + 11 * ci[o], *X = points + 3 * pi[o], w = ws[o];
        const double y[3] = {X[0] - cam[3], X[1] - cam[4], X[2] - cam[5]};
        double M[3][3], u[3], du[3][3];  // R, R y, and d(R y)/dr
        const double square = cam[0] * cam[0] + cam[1] * cam[1] + cam[2] * cam[2];
        if (square > 0) {
            const double theta = std::sqrt(square), inverse = 1 / theta, c = std::cos(theta), s = std::sin(theta), f = 1 - c;
            const double v[3] = {cam[0] * inverse, cam[1] * inverse, cam[2] * inverse};
            const double dot = v[0] * y[0] + v[1] * y[1] + v[2] * y[2];
            const double cross[3] = {v[1] * y[2] - v[2] * y[1], v[2] * y[0] - v[0] * y[2], v[0] * y[1] - v[1] * y[0]};
            const double K[3][3] = {{0, -v[2], v[1]}, {v[2], 0, -v[0]}, {-v[1], v[0], 0}};
            const double Y[3][3] = {{0, -y[2], y[1]}, {y[2], 0, -y[0]}, {-y[1], y[0], 0}};
            for (int i = 0; i < 3; i++) {
                u[i] = y[i] * c + cross[i] * s + v[i] * dot * f;
                const double by_theta = -y[i] * s + cross[i] * c + v[i] * dot * s;
                double by_v[3], along = 0;
                for (int k = 0; k < 3; k++) {
                    M[i][k] = (i == k ? c : 0) + s * K[i][k] + f * v[i] * v[k];
                    by_v[k] = -s * Y[i][k] + f * ((i == k ? dot : 0) + v[i] * y[k]);
                    along += by_v[k] * v[k];
                }
                for (int k = 0; k < 3; k++) du[i][k] = by_theta * v[k] + (by_v[k] - along * v[k]) * inverse;
            }
        } else {
            const double Y[3][3] = {{0, y[2], -y[1]}, {-y[2], 0, y[0]}, {y[1], -y[0], 0}};
            for (int i = 0; i < 3; i++) {
                u[i] = y[i];
                for (int k = 0; k < 3; k++) M[i][k] = i == k, du[i][k] = Y[i][k];
            }
        }
        const double inverse = 1 / u[2], a = u[0] * inverse, b = u[1] * inverse, s = a * a + b * b;
        const double L = 1 + cam[9] * s + cam[10] * s * s, slope = 2 * (cam[9] + 2 * cam[10] * s), f = cam[6];
        const double ab[2] = {a, b};
        for (int row = 0; row < 2; row++) {
            double* J = jacobian + o * 30 + row * 15;
            const double p = ab[row], wf = w * f;
            const double by_a = wf * ((row == 0 ? L : 0) + p * slope * a), by_b = wf * ((row == 1 ? L : 0) + p * slope * b);
            const double g0 = by_a * inverse, g1 = by_b * inverse, g2 = -(by_a * a + by_b * b) * inverse;
            for (int k = 0; k < 3; k++) {
                J[k] = g0 * du[0][k] + g1 * du[1][k] + g2 * du[2][k];
                const double t = g0 * M[0][k] + g1 * M[1][k] + g2 * M[2][k];
                J[3 + k] = -t;
                J[11 + k] = t;
            }
            J[6] = w * L * p;
            J[7] = row == 0 ? w : 0;
            J[8] = row == 1 ? w : 0;
            J[9] = wf * s * p;
            J[10] = wf * s * s * p;
            J[14] = f * L * p + cam[7 + row] - features[2 * o + row];
        }
        weights[o] = -2 * w;
    }
}

// The gates of every step and layer are kept, five numbers each; the old states are found in the step before.
extern "C" void gradbench_lstm_f64(void** in, void** out, const i64* size) {
    const double *R main = array<double>(in, 0), *R extra = array<double>(in, 1), *R state = array<double>(in, 2), *R seq = array<double>(in, 3);
    double *R gmain = array<double>(out, 1), *R gextra = array<double>(out, 2);
    const i64 L = size[0], T = size[1] - 1, b = size[2], unit = 7 * b;
    SCRATCH(double, kept, T * L * unit);  // F, I, O, G, c, tanh c, h
    SCRATCH(double, errors, T * b);
    SCRATCH(double, gh, L * b);
    SCRATCH(double, gc, L * b);
    SCRATCH(double, gx, b);
    double value = 0;
    const double scale = -1.0 / (T * b);
    for (i64 t = 0; t < T; t++) {
        double* at = kept + t * L * unit;
        for (i64 k = 0; k < L; k++) {
            const double *R w = main + 2 * k * 4 * b, *R v = w + 4 * b;
            const double* R h = t ? at - L * unit + k * unit + 6 * b : state + 2 * k * b;
            const double* R c = t ? at - L * unit + k * unit + 4 * b : state + (2 * k + 1) * b;
            double* R u = at + k * unit;
            double x[64];
            for (i64 j = 0; j < b; j++) x[j] = k ? at[(k - 1) * unit + 6 * b + j] : seq[t * b + j] * extra[j];
#pragma omp simd
            for (i64 j = 0; j < b; j++) {
                u[j] = 1 / (1 + std::exp(-(x[j] * w[j] + v[j])));
                u[b + j] = 1 / (1 + std::exp(-(h[j] * w[b + j] + v[b + j])));
                u[2 * b + j] = 1 / (1 + std::exp(-(x[j] * w[2 * b + j] + v[2 * b + j])));
                u[3 * b + j] = std::tanh(h[j] * w[3 * b + j] + v[3 * b + j]);
                u[4 * b + j] = c[j] * u[j] + u[b + j] * u[3 * b + j];
                u[5 * b + j] = std::tanh(u[4 * b + j]);
                u[6 * b + j] = u[2 * b + j] * u[5 * b + j];
            }
        }
        const double *R x = at + (L - 1) * unit + 6 * b, *R next = seq + (t + 1) * b;
        double e[64], y[64], sum = 2, bits = 0;
#pragma omp simd reduction(+ : sum, bits)
        for (i64 j = 0; j < b; j++) {
            y[j] = x[j] * extra[b + j] + extra[2 * b + j];
            e[j] = std::exp(y[j]);
            sum += e[j];
            bits += next[j];
        }
        const double lse = std::log(sum);
        for (i64 j = 0; j < b; j++) {
            value += next[j] * (y[j] - lse);
            errors[t * b + j] = scale * (next[j] - bits * e[j] / sum);
        }
    }
    *array<double>(out, 0) = value * scale;
    std::fill(gmain, gmain + 2 * L * 4 * b, 0.0);
    std::fill(gextra, gextra + 3 * b, 0.0);
    std::fill(gh, gh + L * b, 0.0);
    std::fill(gc, gc + L * b, 0.0);
    for (i64 t = T - 1; t >= 0; t--) {
        const double* at = kept + t * L * unit;
        const double *R last = at + (L - 1) * unit + 6 * b, *R gy = errors + t * b;
#pragma omp simd
        for (i64 j = 0; j < b; j++) {
            gextra[b + j] += gy[j] * last[j];
            gextra[2 * b + j] += gy[j];
            gx[j] = gy[j] * extra[b + j];
        }
        for (i64 k = L - 1; k >= 0; k--) {
            const double *R w = main + 2 * k * 4 * b, *R u = at + k * unit;
            const double* R h = t ? at - L * unit + k * unit + 6 * b : state + 2 * k * b;
            const double* R c = t ? at - L * unit + k * unit + 4 * b : state + (2 * k + 1) * b;
            double *R gw = gmain + 2 * k * 4 * b, *R gv = gw + 4 * b, *R ghk = gh + k * b, *R gck = gc + k * b;
            double x[64];
            for (i64 j = 0; j < b; j++) x[j] = k ? at[(k - 1) * unit + 6 * b + j] : seq[t * b + j] * extra[j];
#pragma omp simd
            for (i64 j = 0; j < b; j++) {
                const double F = u[j], I = u[b + j], O = u[2 * b + j], G = u[3 * b + j], th = u[5 * b + j];
                const double g = gx[j] + ghk[j], cell = gck[j] + g * O * (1 - th * th);
                const double zo = g * th * O * (1 - O), zf = cell * c[j] * F * (1 - F), zi = cell * G * I * (1 - I), zg = cell * I * (1 - G * G);
                gw[j] += zf * x[j];
                gw[b + j] += zi * h[j];
                gw[2 * b + j] += zo * x[j];
                gw[3 * b + j] += zg * h[j];
                gv[j] += zf;
                gv[b + j] += zi;
                gv[2 * b + j] += zo;
                gv[3 * b + j] += zg;
                gx[j] = zf * w[j] + zo * w[2 * b + j];
                ghk[j] = zi * w[b + j] + zg * w[3 * b + j];
                gck[j] = cell * F;
            }
        }
        for (i64 j = 0; j < b; j++) gextra[j] += gx[j] * seq[t * b + j];
    }
}

// Vectors run over the centroids, which are transposed for that; the direction is a centroid minus the mean of its points.
extern "C" void gradbench_kmeans_f64(void** in, void** out, const i64* size) {
    const double *R C = array<double>(in, 0), *R P = array<double>(in, 1);
    double* R dir = array<double>(out, 0);
    const i64 K = size[0], n = size[1], d = size[2], B = 8, wide = (K + B - 1) / B * B;
    SCRATCH(double, t, d * wide);
    SCRATCH(double, sums, K * d);
    SCRATCH(double, counts, K);
    for (i64 j = 0; j < d; j++)
        for (i64 k = 0; k < wide; k++) t[j * wide + k] = k < K ? C[k * d + j] : 1e150;
    std::fill(sums, sums + K * d, 0.0);
    std::fill(counts, counts + K, 0.0);
    for (i64 i = 0; i < n; i++) {
        const double* R p = P + i * d;
        double best[B], which[B];
        for (i64 l = 0; l < B; l++) best[l] = INFINITY, which[l] = 0;
        for (i64 k = 0; k < wide; k += B) {
            double s[B];
            for (i64 l = 0; l < B; l++) s[l] = 0;
            for (i64 j = 0; j < d; j++)
#pragma omp simd
                for (i64 l = 0; l < B; l++) {
                    const double e = t[j * wide + k + l] - p[j];
                    s[l] += e * e;
                }
#pragma omp simd
            for (i64 l = 0; l < B; l++) {
                which[l] = s[l] < best[l] ? double(k + l) : which[l];
                best[l] = s[l] < best[l] ? s[l] : best[l];
            }
        }
        double least = best[0], nearest = which[0];
        for (i64 l = 1; l < B; l++)
            if (best[l] < least || (best[l] == least && which[l] < nearest)) least = best[l], nearest = which[l];
        const i64 k = i64(nearest);
        counts[k] += 1;
        for (i64 j = 0; j < d; j++) sums[k * d + j] += p[j];
    }
    for (i64 k = 0; k < K; k++)
        for (i64 j = 0; j < d; j++) dir[k * d + j] = C[k * d + j] - sums[k * d + j] / counts[k];
}

// Vectors run over points; the powers are computed twice rather than kept.
extern "C" void gradbench_llsq_f64(void** in, void** out, const i64* size) {
    const double* R x = array<double>(in, 0);
    double* R g = array<double>(out, 1);
    const i64 m = size[0], n = size[1], B = 16;
    SCRATCH(double, parts, m * B);
    std::fill(parts, parts + m * B, 0.0);
    double value = 0;
    for (i64 start = 0; start < n; start += B) {
        double t[B], r[B], p[B];
        for (i64 l = 0; l < B; l++) {
            t[l] = start + l < n ? -1.0 + 2.0 * (start + l) / (n - 1) : 0;
            r[l] = t[l] > 0 ? 1 : t[l] < 0 ? -1 : 0;
            p[l] = start + l < n ? 1 : 0;
        }
        for (i64 j = 0; j < m; j++)
#pragma omp simd
            for (i64 l = 0; l < B; l++) {
                r[l] -= x[j] * p[l];
                p[l] *= t[l];
            }
        for (i64 l = 0; l < B; l++) {
            value += r[l] * r[l];
            p[l] = start + l < n ? -r[l] : 0;
        }
        for (i64 j = 0; j < m; j++)
#pragma omp simd
            for (i64 l = 0; l < B; l++) {
                parts[j * B + l] += p[l];
                p[l] *= t[l];
            }
    }
    for (i64 j = 0; j < m; j++) {
        double sum = 0;
        for (i64 l = 0; l < B; l++) sum += parts[j * B + l];
        g[j] = sum;
    }
    *array<double>(out, 0) = 0.5 * value;
}

// The states of all steps are kept; the four slopes of a step are computed again, one fused loop a stage.
static inline void stage(const double* R x, const double* R y, const double* R before, double h, double* R k, i64 n) {
    k[0] = x[0];
    if (before)
#pragma omp simd
        for (i64 i = 1; i < n; i++) k[i] = x[i] * (y[i - 1] + h * before[i - 1]);
    else
#pragma omp simd
        for (i64 i = 1; i < n; i++) k[i] = x[i] * y[i - 1];
}
// cotangents gk of a slope at y + h before: those of x are added, those of that point returned in gu
static inline void stage_back(const double* R x, const double* R y, const double* R before, double h, const double* R gk, double* R gx,
                              double* R gu, i64 n) {
    gx[0] += gk[0];
#pragma omp simd
    for (i64 i = 1; i < n; i++) {
        gx[i] += gk[i] * (y[i - 1] + (before ? h * before[i - 1] : 0));
        gu[i - 1] = gk[i] * x[i];
    }
    gu[n - 1] = 0;
}
extern "C" void gradbench_ode_f64(void** in, void** out, const i64* size) {
    const double* R x = array<double>(in, 0);
    double* R gx = array<double>(out, 1);
    const i64 n = size[0], steps = size[1];
    const double h = 2.0 / steps;
    SCRATCH(double, ys, (steps + 1) * n);
    SCRATCH(double, k, 4 * n);
    SCRATCH(double, gy, n);
    SCRATCH(double, gk, n);
    SCRATCH(double, gu, n);
    double *k1 = k, *k2 = k + n, *k3 = k + 2 * n, *k4 = k + 3 * n;
    std::fill(ys, ys + n, 0.0);
    for (i64 t = 0; t < steps; t++) {
        double *R y = ys + t * n, *R next = y + n;
        stage(x, y, nullptr, 0, k1, n);
        stage(x, y, k1, 0.5 * h, k2, n);
        stage(x, y, k2, 0.5 * h, k3, n);
        stage(x, y, k3, h, k4, n);
#pragma omp simd
        for (i64 i = 0; i < n; i++) next[i] = y[i] + h / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
    }
    *array<double>(out, 0) = ys[steps * n + n - 1];
    std::fill(gx, gx + n, 0.0);
    std::fill(gy, gy + n, 0.0);
    gy[n - 1] = 1;
    for (i64 t = steps - 1; t >= 0; t--) {
        const double* R y = ys + t * n;
        stage(x, y, nullptr, 0, k1, n);
        stage(x, y, k1, 0.5 * h, k2, n);
        stage(x, y, k2, 0.5 * h, k3, n);
        const double* befores[4] = {nullptr, k1, k2, k3};
        const double steps_in[4] = {0, 0.5 * h, 0.5 * h, h}, weights[4] = {h / 6, h / 3, h / 3, h / 6};
        double* R sum = k4;  // what the stages give to the state
        std::memcpy(sum, gy, n * sizeof(double));
        for (int s = 3; s >= 0; s--) {
            const double weight = weights[s], further = s < 3 ? steps_in[s + 1] : 0;
#pragma omp simd
            for (i64 i = 0; i < n; i++) gk[i] = weight * gy[i] + (s < 3 ? further * gu[i] : 0);
            stage_back(x, y, befores[s], steps_in[s], gk, gx, gu, n);
#pragma omp simd
            for (i64 i = 0; i < n; i++) sum[i] += gu[i];
        }
        std::memcpy(gy, sum, n * sizeof(double));
    }
}
