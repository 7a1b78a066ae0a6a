# Recurrent events with a terminal event, and tests of interaction.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
suppressPackageStartupMessages({
  library(mets)
  library(metafor)
})

# bladder1: 116 patients with time at risk, recurrences (1) and deaths (2, 3); cgd: infections, nobody died
b <- bladder1[bladder1$stop > 0, c("id", "treatment", "number", "size", "start", "stop", "status")]
b$status <- ifelse(b$status >= 2, 2, b$status)
b$thiotepa <- as.integer(b$treatment == "thiotepa")
b$pyridoxine <- as.integer(b$treatment == "pyridoxine")
b$w <- 0.5 + (b$id %% 5) / 4
b <- b[order(b$id, b$start), ]
# the same without ties between patients, which mets does not define: each patient's clock runs a little faster
u <- b
u$start <- u$start * (1 + u$id / 1e5)
u$stop <- u$stop * (1 + u$id / 1e5)
cgd$interferon <- as.integer(cgd$treat == "rIFN-g")
cgd$w <- 0.5 + (cgd$id %% 5) / 4

# --- Andersen-Gill, and Lin, Wei, Yang and Ying's variance ---
rate <- function(name, what, data, fit) {
  record(paste0("rate.", name, ".coef"), coef(fit), what, data)
  record(paste0("rate.", name, ".se_andersen_gill"), sqrt(diag(fit$naive.var)), what, data)
  record(paste0("rate.", name, ".se_lwyy"), sqrt(diag(fit$var)), what, data)
}
rate("cgd", "coxph(Surv(tstart, tstop, status) ~ treat + age, cluster = id)", "cgd",
     coxph(Surv(tstart, tstop, status) ~ interferon + age, cgd, cluster = id, control = strict))
rate("cgd_weighted", "coxph(Surv(tstart, tstop, status) ~ treat, weights, cluster = id)", "cgd",
     coxph(Surv(tstart, tstop, status) ~ interferon, cgd, weights = w, cluster = id, control = strict))
rate("bladder", "coxph(Surv(start, stop, status == 1) ~ treatment + number + size, cluster = id)", "bladder1",
     coxph(Surv(start, stop, status == 1) ~ pyridoxine + thiotepa + number + size, b, cluster = id, control = strict))
rate("bladder_weighted", "coxph(Surv(start, stop, status == 1) ~ treatment, weights, cluster = id)", "bladder1",
     coxph(Surv(start, stop, status == 1) ~ pyridoxine + thiotepa, b, weights = w, cluster = id, control = strict))

# --- proportional means, Ghosh and Lin 2002 ---
# recreg has to be told that observation ends where the last recurrence is the last visit: censored just after it
ended <- u[!duplicated(u$id, fromLast = TRUE) & u$status == 1, ]
closed <- rbind(u, transform(ended, start = stop, stop = stop + 1e-7, status = 0))
closed <- closed[order(closed$id, closed$start), ]
mean_fit <- function(name, what, ...) {
  fit <- recreg(..., cause = 1, death.code = 2, cens.code = 0)
  record(paste0("mean.", name, ".coef"), fit$coef, what, "bladder1, ties broken")
  record(paste0("mean.", name, ".se"), fit$se.coef, what, "bladder1, ties broken")
}
mean_fit("bladder", "mets::recreg", Event(start, stop, status) ~ pyridoxine + thiotepa + number + cluster(id), data = closed)
mean_fit("bladder_weighted", "mets::recreg, weights", Event(start, stop, status) ~ pyridoxine + thiotepa + cluster(id),
         data = closed, weights = closed$w)

# --- mean cumulative function with death as terminal event ---
mcf_mets <- function(name, d) {
  fit <- recurrentMarginal(phreg(Surv(start, stop, status == 1) ~ cluster(id), data = d),
                           phreg(Surv(start, stop, status == 2) ~ cluster(id), data = d))
  what <- "mets::recurrentMarginal"
  record(paste0("mcf.", name, ".time"), fit$times, what, "bladder1, ties broken")
  record(paste0("mcf.", name, ".mean"), fit$mu, what, "bladder1, ties broken")
  record(paste0("mcf.", name, ".std_err"), fit$se.mu, what, "bladder1, ties broken")
}
mcf_mets("bladder_untied", u)
for (arm in levels(u$treatment)) mcf_mets(paste0("bladder_untied_", arm), u[u$treatment == arm, ])

# Nelson-Aalen where nobody died (Lawless and Nadeau's robust variance)
for (weighted in c(FALSE, TRUE)) {
  fit <- survfit(Surv(tstart, tstop, status) ~ 1, cgd, id = id, weights = if (weighted) w, robust = TRUE)
  hit <- fit$n.event > 0
  name <- if (weighted) "mcf.cgd_weighted" else "mcf.cgd"
  record(paste0(name, ".mean"), fit$cumhaz[hit], "survfit(Surv(tstart, tstop, status) ~ 1, id)$cumhaz", "cgd")
  record(paste0(name, ".std_err"), fit$std.chaz[hit], "survfit(Surv(tstart, tstop, status) ~ 1, id)$std.chaz", "cgd")
}

# Ghosh and Lin's variance written out person by person, with ties and case weights (mets 1.3.2 has no robust variance
# of a weighted mean: it does not square the weights)
ghosh_lin <- function(d, weighted, at) {
  last <- d[!duplicated(d$id, fromLast = TRUE), ]
  X <- last$stop; dead <- last$status == 2; w <- if (weighted) last$w else rep(1, nrow(last))
  Y <- function(t) sapply(t, function(s) sum(w[X >= s]))
  u <- sort(unique(d$stop[d$status == 1])); v <- sort(unique(X[dead]))
  dN <- sapply(u, function(s) sum(w[last$id %in% d$id[d$stop == s & d$status == 1]]))
  dD <- sapply(v, function(s) sum(w[X == s & dead]))
  S <- sapply(u, function(s) prod(1 - (dD / Y(v))[v < s]))
  dmu <- S * dN / Y(u)
  out <- matrix(NA, length(at), 3)
  for (k in seq_along(at)) {
    t <- at[k]
    psi <- psi_exact <- numeric(nrow(last))
    for (i in seq_len(nrow(last))) {
      own <- u %in% d$stop[d$id == last$id[i] & d$status == 1]
      rate <- sum((S / Y(u) * (own - (X[i] >= u) * dN / Y(u)))[u <= t])
      gain <- sapply(v, function(s) sum(dmu[u > s & u <= t]))
      martingale <- (X[i] == v & dead[i]) - (X[i] >= v) * dD / Y(v)
      psi[i] <- w[i] * (rate - sum((gain * martingale / Y(v))[v <= t]))
      psi_exact[i] <- w[i] * (rate - sum((gain * martingale / (Y(v) - dD))[v <= t]))
    }
    out[k, ] <- c(sum(dmu[u <= t]), sqrt(sum(psi^2)), sqrt(sum(psi_exact^2)))
  }
  out
}
at <- c(6, 12, 24, 36, 48)
for (weighted in c(FALSE, TRUE)) {
  values <- ghosh_lin(b, weighted, at)
  name <- if (weighted) "mcf.bladder_weighted" else "mcf.bladder"
  record(paste0(name, ".mean"), values[, 1], "Cook-Lawless estimate in base R", "bladder1")
  record(paste0(name, ".std_err"), values[, 2], "Ghosh-Lin variance in base R", "bladder1")
  record(paste0(name, ".jackknife"), values[, 3], "infinitesimal jackknife in base R", "bladder1")
}

# --- event rates ---
last <- b[!duplicated(b$id, fromLast = TRUE), ]
last$count <- as.vector(tapply(b$status == 1, factor(b$id, last$id), sum))
for (weighted in c(FALSE, TRUE)) {
  last$case <- if (weighted) last$w else 1
  fit <- suppressWarnings(glm(count ~ 1 + offset(log(stop)), family = poisson, data = last, weights = case,
                              control = glm.control(epsilon = 1e-15)))
  bread <- 1 / sum(last$case * fitted(fit))
  meat <- sum((last$case * (last$count - fitted(fit)))^2)
  name <- if (weighted) "rate_per_month.bladder_weighted" else "rate_per_month.bladder"
  se <- sqrt(bread * meat * bread)
  record(name, exp(coef(fit) + c(0, -1, 1) * qnorm(0.975) * as.vector(se)), "glm(family = poisson), sandwich", "bladder1")
}

# --- interaction, heterogeneity, Holm ---
wald <- function(name, what, data, fit) {
  k <- length(coef(fit))
  L <- cbind(-1, diag(k - 1))
  difference <- L %*% coef(fit)
  chi2 <- as.numeric(t(difference) %*% solve(L %*% vcov(fit) %*% t(L)) %*% difference)
  record(paste0("interaction.", name, ".coef"), coef(fit), what, data)
  record(paste0("interaction.", name, ".se"), sqrt(diag(vcov(fit))), what, data)
  record(paste0("interaction.", name, ".wald"), c(chi2, k - 1, pchisq(chi2, k - 1, lower.tail = FALSE)), what, data)
}
two <- deaths[deaths$rx != "Lev", ]
wald("colon", "coxph(Surv(time, status) ~ lev5fu:level + strata(level), robust = TRUE)", "colon",
     coxph(Surv(time, status) ~ lev5fu:factor(extent) + strata(extent), two, robust = TRUE, control = strict))
s <- simulated
wald("sim_weighted", "coxph(Surv(time, event) ~ x2:level + strata(level), weights, robust = TRUE)", "simulated",
     coxph(Surv(time, event) ~ x2:factor(stratum) + strata(stratum), s, weights = weight, robust = TRUE, control = strict))
estimates <- c(0.31, -0.12, 0.55, 0.02); errors <- c(0.14, 0.21, 0.33, 0.18)
q <- rma(yi = estimates, sei = errors, method = "FE")
record("heterogeneity", c(q$QE, q$k - 1, q$QEp), "metafor::rma(method = \"FE\")", "four estimates")
record("holm", p.adjust(c(0.04, 0.001, NA, 0.03, 0.2, 0.03), "holm"), "p.adjust(method = \"holm\")", "six p values")

write_values("recurrent_events", c("survival", "mets", "metafor"))
