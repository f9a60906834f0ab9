// The job, for the Job DSL plugin: a multibranch pipeline over the Jenkinsfile of each branch that has a role. What it needs of its Jenkins is in casc.yaml.
multibranchPipelineJob('windtunnel') {
  displayName('windtunnel')
  description('Builds, tests, rehearses and deploys what is pushed to master, canary, proxy and redis')
  branchSources {
    branchSource {
      source {
        git {
          id('windtunnel')
          remote(System.getenv('WINDTUNNEL_REPOSITORY'))
          credentialsId(System.getenv('WINDTUNNEL_REPOSITORY_CREDENTIALS') ?: '')
          traits {
            gitBranchDiscovery()
            headWildcardFilter {
              includes('master canary proxy redis')
              excludes('')
            }
          }
        }
      }
    }
  }
  factory {
    workflowBranchProjectFactory {
      scriptPath('Jenkinsfile')
    }
  }
  orphanedItemStrategy {
    discardOldItems {
      numToKeep(10)
    }
  }
  triggers {
    periodicFolderTrigger {
      interval('5m')
    }
  }
}
